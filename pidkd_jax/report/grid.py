"""Numbers of projectors and size factors that were tried, and the choice among them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np

from pidkd_jax.report import sheet, statistics
from pidkd_jax.report.runs import Comparison, Trial

_SIZE = ('num_projectors', 'factor')


@dataclasses.dataclass(frozen=True)
class Setting:
  """One (q, f).

  Attributes:
    label: of its row in the tables.
    top1: of its trials, in [0, 1].
    parameters: deployed.
    multiply_adds: of one image's inference.
  """

  label: str
  top1: Sequence[float]
  parameters: int
  multiply_adds: int

  @property
  def mean(self) -> float:
    return float(np.mean(self.top1))


@dataclasses.dataclass(frozen=True)
class Grid:
  """Settings of one method that differ in q and f alone.

  Attributes:
    title: what else they are.
    settings: {(q, f): setting}.
    num_images: of the test split; None where the runs do not say.
  """

  title: str
  settings: Mapping[tuple[int, int], Setting]
  num_images: int | None

  @property
  def best(self) -> tuple[int, int]:
    """(q, f) of the highest mean."""
    return max(self.settings, key=lambda size: self.settings[size].mean)

  @property
  def error(self) -> float | None:
    """Standard error of the best mean; None where it cannot be told."""
    settings = [setting.top1 for setting in self.settings.values()]
    if not self.repeated and self.num_images is None:
      return None
    which = list(self.settings).index(self.best)
    return statistics.standard_error(settings, which, self.num_images)

  @property
  def repeated(self) -> bool:
    """Whether any setting has more than one trial."""
    return any(len(setting.top1) > 1 for setting in self.settings.values())

  @property
  def chosen(self) -> tuple[int, int] | None:
    """(q, f) of the smallest within one standard error of the best; None where it is unknown."""
    if self.error is None:
      return None
    settings = list(self.settings.values())
    place = statistics.smallest_within(
      [s.parameters for s in settings], [s.mean for s in settings], self.error
    )
    return list(self.settings)[place]

  @property
  def choice(self) -> str:
    """The choice and its rule in words."""
    best = self.settings[self.best]
    text = (
      f'Best of {len(self.settings)} sizes ({self.title}): {_named(self.best)} with '
      f'{100 * best.mean:.2f}% top-1 at {best.parameters:,} deployed parameters'
    )
    if self.error is None:
      return f'{text}. One trial without its outputs has no standard error, so no size is chosen.'
    kind = (
      f'of {len(best.top1)} trials, their variance pooled over the sizes'
      if self.repeated
      else f'binomial, of one trial on {self.num_images:,} test images'
    )
    text += f', standard error {100 * self.error:.2f} points ({kind}). '
    chosen = self.settings[self.chosen]
    text += (
      f'Chosen, as the smallest within one standard error of the best: **{_named(self.chosen)}** '
      f'with {100 * chosen.mean:.2f}% at {chosen.parameters:,}'
    )
    if chosen is not best:
      text += f', {100 * (1 - chosen.parameters / best.parameters):.0f}% fewer'
    return text + '.'

  def columns(self) -> list[sheet.Column]:
    """The sizes by deployed parameters."""
    sizes = sorted(self.settings, key=lambda size: (self.settings[size].parameters, size))
    own = [self.settings[size] for size in sizes]
    marks = {self.best: 'best', self.chosen: 'chosen'}
    if self.chosen == self.best:
      marks = {self.best: 'best, chosen'}
    return [
      sheet.words('q', [str(q) for q, _ in sizes]),
      sheet.words('f', [str(f) for _, f in sizes]),
      sheet.words('label', [setting.label for setting in own]),
      sheet.words('n', [str(len(setting.top1)) for setting in own]),
      sheet.numbers('parameters (M)', [[1e-6 * setting.parameters] for setting in own], 3),
      sheet.numbers('multiply-adds (M)', [[1e-6 * setting.multiply_adds] for setting in own], 1),
      sheet.numbers('top-1 (%)', [[100 * t for t in setting.top1] for setting in own], 2),
      sheet.words('choice', [marks.get(size, '') for size in sizes]),
    ]


def grids(comparison: Comparison) -> list[Grid]:
  """The grids of a comparison: what differs in q or f and in nothing else, two sizes or more."""
  found, titles = {}, {}
  for label, trials in comparison.labels.items():
    own = list(trials.values())
    if own[0].projectors is None:
      continue
    kind = {k: v for k, v in own[0].settings.items() if k != 'label'}
    rest = {k: v for k, v in kind['hyperparameters'].items() if k not in _SIZE}
    key = json.dumps({**kind, 'hyperparameters': rest}, sort_keys=True)
    titles[key] = ', '.join([kind['method'], *(f'{k} {v}' for k, v in rest.items())])
    # Of two labels for one size the first stands for it.
    found.setdefault(key, {}).setdefault(own[0].projectors, _setting(label, own))
  return [
    Grid(titles[key], settings, _num_images(comparison))
    for key, settings in found.items()
    if len(settings) > 1
  ]


def _setting(label: str, trials: Sequence[Trial]) -> Setting:
  cost = trials[0].card['cost']
  top1 = [trial.value('results', 'top1') for trial in trials]
  return Setting(label, top1, cost['parameters'], cost['multiply_adds'])


def _num_images(comparison: Comparison) -> int | None:
  outputs = (t.outputs for trials in comparison.labels.values() for t in trials.values())
  return next((len(found.label) for found in outputs if found), None)


def _named(size: tuple[int, int]) -> str:
  return 'q = {}, f = {}'.format(*size)
