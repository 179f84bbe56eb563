"""The lines that a training writes where there is no terminal."""

import logging

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
