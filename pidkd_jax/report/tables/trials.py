"""The table of all trials: every measure of each, from which the other tables can be recomputed."""

from collections.abc import Iterator, Mapping
from typing import Any

from pidkd_jax.report import table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.table import Column
from pidkd_jax.report.trial import Trial

# Numbers of a training that are measures, beside all of a card's results and cost.
_TRAINING = ('epoch', 'seconds', 'teacher_seconds', 'wall_seconds', 'compile_seconds', 'members')


def columns(comparison: Comparison) -> list[Column]:
  """Return the table, a row for the teacher and for each trial; values are as in the cards.

  The columns 'label', 'trial' and 'seed' come first. A measure is named by its keys in a card,
  joined by dots. Cells are empty where a card lacks a measure.
  """
  trials = [trial for numbered in comparison.labels.values() for trial in numbered.values()]
  labels = [trial.label for trial in trials]
  numbers: list[int | None] = [trial.number for trial in trials]
  if comparison.teacher:
    trials.insert(0, comparison.teacher)
    labels.insert(0, 'teacher')
    numbers.insert(0, None)
  measures = [dict(_measures(trial)) for trial in trials]
  names = dict.fromkeys(name for found in measures for name in found)
  return [
    table.text_column('label', labels),
    Column('trial', [], {'trial': numbers}),
    Column('seed', [], {'seed': [trial.value('training', 'seed') for trial in trials]}),
    table.text_column('network', [trial.network for trial in trials]),
    *(Column(name, [], {name: [found.get(name) for found in measures]}) for name in names),
  ]


def note(path: str) -> str:
  """Return a sentence that points a report's reader to the table."""
  return f'[Every measure of every trial]({path}) allows to compute anew what the tables say.'


def _measures(trial: Trial) -> Iterator[tuple[str, float]]:
  """Yield (name, value) of each measure of a trial."""
  for part in ('results', 'cost'):
    yield from _numbers(trial.value(part) or {}, part)
  for name in _TRAINING:
    yield from _numbers({name: trial.value('training', name)}, 'training')


def _numbers(entries: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
  """Yield (dotted name, value) of all numbers in a tree."""
  for key, value in entries.items():
    name = f'{prefix}.{key}'
    if isinstance(value, Mapping):
      yield from _numbers(value, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
      yield name, value
