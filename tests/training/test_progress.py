"""The lines that a training writes, and where it has a bar in their place."""

import logging
import sys
import types

import pytest

from pidkd_jax.training import progress
from pidkd_jax.training.progress import Progress


def lines(caplog, evaluated):
  shown = Progress('students', epochs=len(evaluated), images_per_epoch=50, done=0)
  with caplog.at_level(logging.INFO):
    for epoch, due in enumerate(evaluated, start=1):
      shown.epoch(epoch, 'loss 1.0', seconds=0.1, images=50, evaluated=due)
  shown.close()
  return [record.getMessage().split(':')[1].strip() for record in caplog.records]


def test_short_epochs_have_a_line_only_where_they_are_evaluated(caplog):
  assert lines(caplog, [False, True, False, False, True]) == ['epoch 2/5', 'epoch 5/5']


def test_long_epochs_have_a_line_each(caplog, monkeypatch):
  monkeypatch.setattr(progress, '_LINE_SECONDS', -1)
  assert lines(caplog, [False, True, False]) == ['epoch 1/3', 'epoch 2/3', 'epoch 3/3']


@pytest.mark.parametrize('config, shown', [({'IPKernelApp': {}}, True), ({}, False)])
def test_a_notebook_has_a_bar_and_a_script_in_ipython_has_none(config, shown, monkeypatch, capsys):
  shell = types.SimpleNamespace(config=config)
  ipython = types.SimpleNamespace(get_ipython=lambda: shell)
  monkeypatch.setitem(sys.modules, 'IPython', ipython)
  bar = Progress('students', epochs=2, images_per_epoch=50, done=50)
  bar.advance(50)
  bar.close()
  assert ('students: ' in capsys.readouterr().err) == shown


def test_a_process_without_a_terminal_has_no_bar(capsys):
  Progress('students', epochs=2, images_per_epoch=50, done=50).close()
  assert not capsys.readouterr().err
