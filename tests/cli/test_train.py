"""`pidkd train` where there is nothing to train."""

import sys
import types

from pidkd_jax.cli.commands import train
from pidkd_jax.experiment import finished


def test_a_finished_run_is_answered_without_the_imports_of_a_training(monkeypatch, capsys):
  given = types.SimpleNamespace(config='the config', workdir='runs/digits')
  monkeypatch.setattr(train.flags, 'FLAGS', given)
  monkeypatch.setattr(finished, 'summary', lambda *arguments: ' '.join(arguments))
  monkeypatch.setitem(sys.modules, 'pidkd_jax.experiment.job', None)  # Its import fails.
  train.main()
  assert capsys.readouterr().out == 'the config runs/digits\n'
