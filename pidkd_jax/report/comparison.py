"""Runs that one table may compare."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.report import display_name
from pidkd_jax.report.card import Card
from pidkd_jax.report.run_folder import Run
from pidkd_jax.report.trial import Trial


def correct(trials: Sequence[Trial]) -> dict[Trial, np.ndarray]:
  """Return {trial: float32 [N], 1 for each test image that it classifies rightly, else 0}.

  Args:
    trials: those to take; they kept their outputs.

  Raises:
    UserError: Outputs are damaged, or are those of other images.
  """
  if not trials:
    return {}
  first = trials[0].require_outputs()
  for trial in trials:
    if not np.array_equal(trial.require_outputs().label, first.label):
      raise UserError(
        f'the outputs of {trial.name} in {str(trial.folder)!r} are of other images than those of '
        f'{trials[0].name}; copy the runs again'
      )
  return {trial: trial.require_outputs().correct.astype(np.float32) for trial in trials}


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
  """Runs whose members were trained on the same batches under the same teacher.

  Attributes:
    runs: the runs, at least one.
  """

  runs: tuple[Run, ...]

  @functools.cached_property
  def labels(self) -> dict[str, dict[int, Trial]]:
    """{label: {number: trial}}, labels in the order of the members, trials by number."""
    labels = {}
    for run in self.runs:
      for trial in run.trials:
        labels.setdefault(trial.label, {})[trial.number] = trial
    return {label: dict(sorted(trials.items())) for label, trials in labels.items()}

  @functools.cached_property
  def ranked(self) -> list[str]:
    """The labels by mean top-1, the best first; of equal ones the first member's."""
    means = {
      # The exact sum, so that equal trials in another order are a tie.
      label: math.fsum(trial.value('results', 'top1') for trial in trials.values()) / len(trials)
      for label, trials in self.labels.items()
    }
    return sorted(means, key=lambda label: -means[label])

  def first(self, label: str) -> Trial:
    """Return a label's first trial, for entries that all of its trials share."""
    return next(iter(self.labels[label].values()))

  @functools.cached_property
  def correct(self) -> Mapping[Trial, np.ndarray]:
    """As the function `correct`, of the trials that kept their outputs on the test images."""
    return correct([t for own in self.labels.values() for t in own.values() if t.outputs])

  @property
  def card(self) -> Card:
    """The card of the first trial, for entries that all trials share."""
    return self.runs[0].card

  @property
  def teacher(self) -> Trial | None:
    """The teacher, or None if no run describes it."""
    return next((run.teacher for run in self.runs if run.teacher), None)

  @property
  def origin(self) -> Trial | None:
    """The teacher's own teacher, or None if no run describes it."""
    return next((run.origin for run in self.runs if run.origin), None)

  @property
  def shots(self) -> int:
    """Training images of each class that the students saw; 0 for all."""
    # Older cards lack it, as all images were the only choice.
    return self.card['training'].get('shots') or 0

  @property
  def condensed(self) -> bool:
    """Whether every student started from its own teacher's bundle."""
    teacher = (self.card['training']['teacher'] or {}).get('digest')
    starts = {t.initial_bundle for trials in self.labels.values() for t in trials.values()}
    return self.teacher is not None and starts == {teacher}

  @property
  def teacher_name(self) -> str:
    """The teacher's architecture, or its family; '' without a teacher."""
    if self.teacher:
      return self.teacher.network
    teacher = self.card['training']['teacher']
    return teacher['model']['family'] if teacher else ''

  @property
  def title(self) -> str:
    """Data set, teacher and students in one line: 'CIFAR-100, ResNet-32x4 → ResNet-8x4'."""
    students = dict.fromkeys(
      display_name.network(trial.network)
      for trials in self.labels.values()
      for trial in trials.values()
    )
    taught = f'{display_name.network(self.teacher_name)} → ' if self.teacher_name else ''
    few = f', {self.shots} training images of each class' if self.shots else ''
    data = display_name.dataset(self.card['dataset']['name'])
    return f'{data}{few}, {taught}{", ".join(students)}'

  def accepts(self, run: Run) -> bool:
    """Return whether a run has the same batches and adds trials that contradict none here."""
    if run.pairing_key != self.runs[0].pairing_key:
      return False
    for trial in run.trials:
      trials = self.labels.get(trial.label, {})
      if trial.number in trials or any(t.settings != trial.settings for t in trials.values()):
        return False
    return True


def compare(runs: Sequence[Run]) -> list[Comparison]:
  """Group runs into comparisons, in their order.

  The parts of a cohort that was split by memory come together again. A run opens a comparison of
  its own if it repeats a trial, or if its settings for a label differ. A run with labels that
  another comparison on the same batches lacks is part of that one, too: rows that were trained once
  are compared with each of several settings.
  """
  comparisons: list[Comparison] = []
  for run in runs:
    for i, comparison in enumerate(comparisons):
      if comparison.accepts(run):
        comparisons[i] = Comparison((*comparison.runs, run))
        break
    else:
      comparisons.append(Comparison((run,)))
  for i, comparison in enumerate(comparisons):
    for run in runs:
      new = {trial.label for trial in run.trials}.isdisjoint(comparison.labels)
      if new and comparison.accepts(run):
        own = {*comparison.runs, run}
        comparison = Comparison(tuple(one for one in runs if one in own))
    comparisons[i] = comparison
  return comparisons
