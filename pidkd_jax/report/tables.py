"""The tables of a comparison."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pidkd_jax.report import paired, sheet
from pidkd_jax.report.published import Published
from pidkd_jax.report.runs import Comparison, Trial
from pidkd_jax.report.sheet import Column


@dataclasses.dataclass(frozen=True)
class Figure:
  """What a card has a number of: its heading, where it stands, its scale and digits."""

  heading: str
  path: tuple[str, ...]
  scale: float = 1.0
  digits: int = 2


_COST = (
  Figure('parameters (M)', ('cost', 'parameters'), 1e-6, 3),
  Figure('multiply-adds (M)', ('cost', 'multiply_adds'), 1e-6, 1),
)
_TOP1 = Figure('top-1 (%)', ('results', 'top1'), 100)
_TOP5 = Figure('top-5 (%)', ('results', 'top5'), 100)
_MEASURES = (
  _TOP5,
  Figure('agreement (%)', ('results', 'agreement'), 100),
  Figure('cross-entropy', ('results', 'cross_entropy'), 1, 4),
  Figure('ECE (%)', ('results', 'calibration_error'), 100),
  Figure('alignment error', ('results', 'alignment_error'), 1, 4),
)
_UPDATES = Figure('own updates (s)', ('training', 'seconds'), 1, 0)
_MEMORY = Figure('training memory (MiB)', ('cost', 'training_bytes'), 2**-20, 1)
_BEST = Figure('best on test (optimistic, %)', ('results', 'best_on_test', 'top1'), 100)


def main(
  comparison: Comparison, base: str | None, published: Published | None = None
) -> list[Column]:
  """Accuracy and all that is measured on the test images; a row a label, the teacher first.

  Args:
    comparison: whose cards are read. A column that no card fills is left out.
    base: the label that others are compared with, or None.
    published: figures from elsewhere, which get a column of their own.
  """
  rows = _rows(comparison, teacher=True)
  columns = [*_names(rows), *_numbers(rows, *_COST, _TOP1)]
  if base:
    columns += _differences(rows, paired.differences(comparison, base), base)
  columns += _numbers(rows, *_MEASURES, *_probes(rows), _BEST)
  if published:
    columns.append(published.column(list(rows)))
  return columns


def compact(comparison: Comparison, base: str | None) -> list[Column]:
  """The main table with the time of training, for a run's own report."""
  *columns, best = main(comparison, base)
  updates = _numbers(_rows(comparison, teacher=True), _UPDATES)
  if best.heading != _BEST.heading:  # None: a hold-out selected.
    return [*columns, best, *updates]
  return [*columns, *updates, best]


def condensed(comparison: Comparison) -> list[Column]:
  """What students cost in accuracy and save in size, against the teacher as which they began."""
  bundle, origin = comparison.teacher, comparison.origin
  teachers = ({'first teacher': [origin]} if origin else {}) | {'bundle': [bundle]}
  rows = teachers | _rows(comparison)
  columns = [*_names(rows)]
  for figure in _COST:
    name = figure.heading.removesuffix(' (M)')
    counts = [trials[0].value(*figure.path) for trials in rows.values()]
    saved = [
      [] if label in teachers else [100 * (1 - count / bundle.value(*figure.path))]
      for label, count in zip(rows, counts, strict=True)
    ]
    columns.append(Column(name, [f'{count:,}' for count in counts], {name: counts}))
    columns.append(sheet.numbers(f'fewer {name} (%)', saved, 1))
  columns += _numbers(rows, _TOP1)
  columns += _differences(rows, paired.to_teacher(comparison), 'the bundle')
  columns += _numbers(rows, _TOP5)
  for name, other in {'bundle': bundle, 'first teacher': origin}.items():
    agreements = [_agreement(trials, other) for trials in rows.values()]
    if any(agreements):
      columns.append(sheet.numbers(f'agreement with the {name} (%)', agreements, 2))
  return columns


def _agreement(trials: Sequence[Trial], other: Trial | None) -> list[float]:
  """Percent of the test images on which each predicts what the other does."""
  if other is None or other.outputs is None:
    return []
  return [
    100 * float(np.mean(trial.outputs.predicted == other.outputs.predicted))
    for trial in trials
    if trial.outputs is not None
  ]


def cost(comparison: Comparison) -> list[Column]:
  """What each label costs to train."""
  rows = _rows(comparison)
  share = [
    [
      trial.value('training', 'teacher_seconds') / trial.value('training', 'members')
      for trial in trials
      if trial.value('training', 'teacher_seconds') is not None
    ]
    for trials in rows.values()
  ]
  shares = [sheet.numbers("share of the teacher's passes (s)", share, 0)] if any(share) else []
  return [*_names(rows), *_numbers(rows, _UPDATES), *shares, *_numbers(rows, _MEMORY)]


def settings(comparison: Comparison) -> list[Column]:
  """What each label was trained with."""
  first = [next(iter(trials.values())) for trials in comparison.labels.values()]
  members = [trial.settings for trial in first]
  epochs = [
    sorted({trial.value('training', 'epoch') for trial in trials.values()})
    for trials in comparison.labels.values()
  ]
  total = comparison.card['training']['recipe']['total_epochs']
  return [
    sheet.words('', list(comparison.labels)),
    sheet.words('method', [member['method'] for member in members]),
    sheet.words('student', [trial.network for trial in first]),
    sheet.words('hyper-parameters', [_listed(member['hyperparameters']) for member in members]),
    *(
      sheet.words(name.replace('_', ' '), [f'{member["numbers"][name]:g}' for member in members])
      for name in members[0]['numbers']
    ),
    sheet.words(f'epoch of {total}', [', '.join(map(str, own)) for own in epochs]),
  ]


def overview(comparisons: Mapping[str, Comparison]) -> list[Column]:
  """Top-1 of several comparisons, a row each: within a row, and only there, batches are shared.

  Args:
    comparisons: by what their rows are called.
  """
  labels = dict.fromkeys(label for c in comparisons.values() for label in c.labels)
  columns = [sheet.words('top-1 (%)', list(comparisons))]
  if any(c.teacher for c in comparisons.values()):
    values = [_values([c.teacher] if c.teacher else [], _TOP1) for c in comparisons.values()]
    columns.append(sheet.numbers('teacher', values, _TOP1.digits))
  for label in labels:
    values = [_values(c.labels.get(label, {}).values(), _TOP1) for c in comparisons.values()]
    columns.append(sheet.numbers(label, values, _TOP1.digits))
  return columns


def _rows(comparison: Comparison, teacher: bool = False) -> dict[str, list[Trial]]:
  known = comparison.teacher if teacher else None
  students = {label: list(trials.values()) for label, trials in comparison.labels.items()}
  return ({'teacher': [known]} if known else {}) | students


def _names(rows: Mapping[str, Sequence[Trial]]) -> list[Column]:
  counts = ['' if trials[0].teaches else str(len(trials)) for trials in rows.values()]
  labels, networks = list(rows), [trials[0].network for trials in rows.values()]
  joined = [f'{label} {network}' for label, network in zip(labels, networks, strict=True)]
  return [
    Column('', joined, {'label': labels, 'network': networks}),
    Column('n', counts, {'trials': [count or None for count in counts]}),
  ]


def _numbers(rows: Mapping[str, Sequence[Trial]], *figures: Figure) -> list[Column]:
  found = []
  for figure in figures:
    values = [_values(trials, figure) for trials in rows.values()]
    if any(values):
      found.append(sheet.numbers(figure.heading, values, figure.digits))
  return found


def _values(trials: Sequence[Trial], figure: Figure) -> list[float]:
  values = [trial.value(*figure.path) for trial in trials]
  return [figure.scale * value for value in values if value is not None]


def _probes(rows: Mapping[str, Sequence[Trial]]) -> list[Figure]:
  """Linear probes on other datasets."""
  names = dict.fromkeys(
    name
    for trials in rows.values()
    for trial in trials
    for name in trial.value('results', 'probe') or {}
  )
  return [Figure(f'probe on {name} (%)', ('results', 'probe', name), 100) for name in names]


def _differences(
  rows: Mapping[str, Sequence[Trial]], found: Mapping[str, paired.Difference], base: str
) -> list[Column]:
  if not found:
    return []
  own = [found.get(label) for label in rows]
  heading = f'top-1 minus {base} (points)'

  def part(name):
    values = [getattr(difference, name, None) for difference in own]
    return [None if value is None else 100 * value for value in values]

  return [
    Column(
      heading,
      [_signed(difference) for difference in own],
      {heading: part('mean'), '95% from': part('low'), '95% to': part('high')},
    )
  ]


def _signed(difference: paired.Difference | None) -> str:
  if difference is None:
    return ''
  text = f'{100 * difference.mean:+.2f}'
  if difference.low is not None:
    text += f' [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]'
  return text


def _listed(values: Mapping[str, object]) -> str:
  return ', '.join(f'{name} {value}' for name, value in values.items())
