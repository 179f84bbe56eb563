# Two commands do everything on a machine with Python 3.11 or later: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
WORKDIR ?= runs/demo
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-faults lint style types docs clean

demo: $(VENV)/installed
	$(VENV)/bin/pidkd train --config demo --workdir $(WORKDIR)

# Three processes keep two cores busy, as tests wait for processes and files of their own.
test: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test-faults: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -m faults --timeout 0 -s tests/faults

lint: style types

style: $(VENV)/installed-lint
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(VENV)/installed-test $(VENV)/installed-lint
	$(VENV)/bin/basedpyright

docs: $(VENV)/installed-docs
	$(VENV)/bin/mkdocs build --quiet

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e '.[train]'
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e '.[test]'
	$(PIP) --no-deps jax2onnx==0.17.1
	$(PIP) --no-deps timm==1.0.31 torchvision==0.28.0
	touch $@

# One of the extras of pyproject.toml.
$(VENV)/installed-%: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) runs site
