"""Grids of projector sizes: number of projectors q and size factor f, and the choice among them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np

from pidkd_jax.report import statistics, table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.trial import Trial

_SIZE = ('num_projectors', 'factor')


@dataclasses.dataclass(frozen=True)
class SizeResult:
  """The results of one projector size (q, f).

  Attributes:
    label: its label in the tables.
    top1: accuracy of each trial, in [0, 1].
    parameters: number of deployed parameters.
    multiply_adds: multiply-adds of one image's inference.
  """

  label: str
  top1: Sequence[float]
  parameters: int
  multiply_adds: int

  @property
  def mean(self) -> float:
    """Mean accuracy over the trials."""
    return float(np.mean(self.top1))


@dataclasses.dataclass(frozen=True)
class SizeGrid:
  """Projector sizes of one method whose settings differ only in q and f.

  Attributes:
    title: the method and its other hyper-parameters.
    results: {(q, f): result}.
    num_images: number of test images; None if the runs kept no outputs.
  """

  title: str
  results: Mapping[tuple[int, int], SizeResult]
  num_images: int | None

  @property
  def best(self) -> tuple[int, int]:
    """(q, f) of the highest mean."""
    return max(self.results, key=lambda size: self.results[size].mean)

  @property
  def standard_error(self) -> float | None:
    """Standard error of the best mean; None if one trial without outputs gives no estimate."""
    if not self.repeated and self.num_images is None:
      return None
    accuracies = [result.top1 for result in self.results.values()]
    index = list(self.results).index(self.best)
    return statistics.standard_error(accuracies, index, self.num_images)

  @property
  def repeated(self) -> bool:
    """Whether any size has more than one trial."""
    return any(len(result.top1) > 1 for result in self.results.values())

  @property
  def chosen(self) -> tuple[int, int] | None:
    """(q, f) of the smallest size within one standard error of the best; None without one."""
    if self.standard_error is None:
      return None
    results = list(self.results.values())
    index = statistics.smallest_within(
      [result.parameters for result in results],
      [result.mean for result in results],
      self.standard_error,
    )
    return list(self.results)[index]

  @property
  def choice(self) -> str:
    """The choice and its rule in words."""
    best = self.results[self.best]
    text = (
      f'Best of {len(self.results)} sizes ({self.title}): {_format_size(self.best)} with '
      f'{100 * best.mean:.2f}% top-1 at {best.parameters:,} deployed parameters'
    )
    if self.standard_error is None or self.chosen is None:
      return f'{text}. One trial without its outputs has no standard error, so no size is chosen.'
    kind = (
      f'of {len(best.top1)} trials, their variance pooled over the sizes'
      if self.repeated
      else f'binomial, of one trial on {self.num_images:,} test images'
    )
    text += f', standard error {100 * self.standard_error:.2f} points ({kind}). '
    chosen = self.results[self.chosen]
    text += (
      'Chosen, as the smallest within one standard error of the best: '
      f'**{_format_size(self.chosen)}** with {100 * chosen.mean:.2f}% at {chosen.parameters:,}'
    )
    if chosen is not best:
      text += f', {100 * (1 - chosen.parameters / best.parameters):.0f}% fewer'
    return text + '.'

  def columns(self) -> list[table.Column]:
    """Return a table of the sizes by deployed parameters."""
    sizes = sorted(self.results, key=lambda size: (self.results[size].parameters, size))
    results = [self.results[size] for size in sizes]
    marks = {self.best: 'best', self.chosen: 'chosen'}
    if self.chosen == self.best:
      marks = {self.best: 'best, chosen'}
    return [
      table.text_column('q', [str(q) for q, _ in sizes]),
      table.text_column('f', [str(f) for _, f in sizes]),
      table.text_column('label', [result.label for result in results]),
      table.text_column('n', [str(len(result.top1)) for result in results]),
      table.mean_column('parameters (M)', [[1e-6 * r.parameters] for r in results], 3),
      table.mean_column('multiply-adds (M)', [[1e-6 * r.multiply_adds] for r in results], 1),
      table.mean_column('top-1 (%)', [[100 * t for t in r.top1] for r in results], 2),
      table.text_column('choice', [marks.get(size, '') for size in sizes]),
    ]


def find_grids(comparison: Comparison) -> list[SizeGrid]:
  """Return the grids of a comparison: two or more sizes whose settings differ only in q and f."""
  results, titles = {}, {}
  for label, numbered in comparison.labels.items():
    trials = list(numbered.values())
    size = trials[0].projector_size
    if size is None:
      continue
    settings = {key: value for key, value in trials[0].settings.items() if key != 'label'}
    others = {k: v for k, v in settings['hyperparameters'].items() if k not in _SIZE}
    key = json.dumps({**settings, 'hyperparameters': others}, sort_keys=True)
    titles[key] = ', '.join([settings['method'], *(f'{k} {v}' for k, v in others.items())])
    # If two labels have one size, the grid shows the first.
    results.setdefault(key, {}).setdefault(size, _size_result(label, trials))
  return [
    SizeGrid(titles[key], sizes, _num_images(comparison))
    for key, sizes in results.items()
    if len(sizes) > 1
  ]


def _size_result(label: str, trials: Sequence[Trial]) -> SizeResult:
  cost = trials[0].card['cost']
  top1 = [trial.value('results', 'top1') for trial in trials]
  return SizeResult(label, top1, cost['parameters'], cost['multiply_adds'])


def _num_images(comparison: Comparison) -> int | None:
  outputs = (t.outputs for trials in comparison.labels.values() for t in trials.values())
  return next((len(kept.label) for kept in outputs if kept), None)


def _format_size(size: tuple[int, int]) -> str:
  return 'q = {}, f = {}'.format(*size)
