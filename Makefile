# Two commands do everything on a machine with Python 3.11 or 3.12: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
WORKDIR ?= runs/demo

.PHONY: demo test test-faults clean

demo: $(VENV)/installed
	$(VENV)/bin/python scripts/main.py --config configs/digits.py --workdir $(WORKDIR)

test: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

test-faults: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -m faults --timeout 0 -s tests/faults

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps jax2onnx==0.17.1
	touch $@

clean:
	rm -rf $(VENV) runs
