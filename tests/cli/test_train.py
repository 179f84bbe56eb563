"""The commands that train, where there is nothing to train."""

import sys
import types

import pytest

from pidkd_jax import experiment
from pidkd_jax.cli.commands import condense, study, train
from pidkd_jax.experiment import condensing, finished, job
from pidkd_jax.experiment import study as studies


def test_a_finished_run_is_answered_without_the_imports_of_a_training(monkeypatch, capsys):
  given = types.SimpleNamespace(config='the config', workdir='runs/digits', dry_run=False)
  monkeypatch.setattr(train.flags, 'FLAGS', given)
  monkeypatch.setattr(finished, 'summary', lambda *arguments: ' '.join(arguments))
  monkeypatch.delattr(experiment, 'job')
  monkeypatch.setitem(sys.modules, 'pidkd_jax.experiment.job', None)  # Its import fails.
  train.main()
  assert capsys.readouterr().out == 'the config runs/digits\n'


@pytest.mark.parametrize(
  ('command', 'module', 'more'),
  [(train, job, []), (study, studies, ['rows']), (condense, condensing, ['bundle'])],
)
def test_a_dry_run_trains_nothing(command, module, more, monkeypatch, capsys):
  given = dict.fromkeys(['config', 'workdir', *more], 'given') | {'dry_run': True}
  monkeypatch.setattr(command.flags, 'FLAGS', types.SimpleNamespace(**given))
  monkeypatch.setattr(module, 'main', lambda *_: pytest.fail('it trains'))
  told = {'all': 'what it would take'} if command is study else 'what it would take'
  monkeypatch.setattr(module, 'forecast', lambda *_: told)
  command.main()
  assert 'what it would take' in capsys.readouterr().out
