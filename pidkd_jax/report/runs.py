"""Run folders as a report reads them, and which of them may be compared."""

import dataclasses
import functools
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pidkd_jax.core import npz
from pidkd_jax.core.errors import UserError
from pidkd_jax.training import metrics

Card = Mapping[str, Any]

# What a report reads of every card.
_NEEDED = (
  'label',
  'model.family',
  'dataset.name',
  'dataset.fingerprint',
  'training.member.trial',
  'training.member.hyperparameters',
  'training.recipe.total_epochs',
  'training.teacher',
  *(f'training.{name}' for name in ('seed', 'padding', 'flip', 'holdout')),
  'results.top1',
)

# What a run writes down of its teacher and of who taught that one: NAME.json, and outputs.
_TEACHERS = ('teacher', 'origin')
# Large folders of a run that hold no other run.
_INSIDE = ('bundles', 'checkpoints', 'tensorboard', 'outputs')
# What decides the batches of a training, beside data, teacher and recipe.
_BATCHES = ('seed', 'padding', 'flip', 'holdout')


@dataclasses.dataclass(frozen=True, eq=False)
class Outputs:
  """What a network says of the test images.

  Attributes:
    label: int [N], the truth.
    predicted: int [N].
    confidence: float [N], the softmax probability of the prediction.
    pooled: float [M, C], what the classifier reads, of the first M <= N images.
  """

  label: np.ndarray
  predicted: np.ndarray
  confidence: np.ndarray
  pooled: np.ndarray

  @property
  def correct(self) -> np.ndarray:
    """bool [N]."""
    return self.label == self.predicted


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
  """One trained member, or a teacher.

  Attributes:
    folder: of its run.
    name: of its bundle and of its outputs.
    card: of its bundle.
  """

  folder: pathlib.Path
  name: str
  card: Card

  @property
  def label(self) -> str:
    return self.card['label']

  @property
  def teaches(self) -> bool:
    """Whether it is no trial of the run, but a teacher."""
    return self.name in _TEACHERS

  @property
  def number(self) -> int:
    return self.card['training']['member']['trial']

  @property
  def settings(self) -> dict[str, Any]:
    """All that trials of a label have in common."""
    return {
      **{k: v for k, v in self.card['training']['member'].items() if k != 'trial'},
      'start': self.start,
    }

  @property
  def start(self) -> str | None:
    """Digest of the bundle whose student it began with, None where weights were drawn."""
    return (self.card['training'].get('start') or {}).get('digest')

  @property
  def network(self) -> str:
    """The trained architecture; of a bundle from elsewhere only the family may be known."""
    member = self.card.get('training', {}).get('member') or {}
    return self.card.get('network') or member.get('student') or self.card['model']['family']

  @property
  def projectors(self) -> tuple[int, int] | None:
    """(q, f) of what it deploys, or None without projectors."""
    known = {**self.card['model'], **self.settings['hyperparameters']}
    found = tuple(known.get(name) for name in ('num_projectors', 'factor'))
    return None if None in found else found

  def value(self, *path: str) -> float | None:
    """An entry of the card, None where it is not there."""
    found = self.card
    for key in path:
      found = found.get(key) if isinstance(found, Mapping) else None
    return found

  @functools.cached_property
  def outputs(self) -> Outputs | None:
    """None where the run did not keep them.

    Raises:
      UserError: the file is damaged.
    """
    path = self.folder / 'outputs' / f'{self.name}.npz'
    if not path.exists():
      return None
    try:
      arrays = npz.read(path)
      found = Outputs(**{f.name: arrays[f.name] for f in dataclasses.fields(Outputs)})
    except (ValueError, KeyError) as error:
      raise UserError(f'{str(path)!r} is damaged: {error}; remove it, or copy it again') from error
    # Small integers would wrap where they are subtracted.
    return dataclasses.replace(
      found, label=found.label.astype(int), predicted=found.predicted.astype(int)
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
  """A finished run.

  Attributes:
    folder: of the run.
    trials: in the order of its members.
    rows: of its metrics.jsonl.
    teacher: None where no member had one, or where the run does not say how good it is.
    origin: who taught the teacher, where the run looked at it.
    diverged: {member: the step from which on it was left out}.
  """

  folder: pathlib.Path
  trials: tuple[Trial, ...]
  rows: Sequence[metrics.Row]
  teacher: Trial | None
  origin: Trial | None = None
  diverged: Mapping[str, int] = dataclasses.field(default_factory=dict)

  @property
  def card(self) -> Card:
    """One that says what all trials of the run share."""
    return self.trials[0].card

  @property
  def batches(self) -> str:
    """Equal for runs that train on the same batches under the same teacher."""
    training = self.card['training']
    return json.dumps(
      [
        self.card['dataset']['fingerprint'],
        (training['teacher'] or {}).get('digest'),
        training['recipe'],
        *(training[name] for name in _BATCHES),
      ],
      sort_keys=True,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
  """Runs whose members were trained on the same batches under the same teacher."""

  runs: tuple[Run, ...]

  @functools.cached_property
  def labels(self) -> dict[str, dict[int, Trial]]:
    """{label: {trial's number: trial}} in the order of the members."""
    found = {}
    for run in self.runs:
      for trial in run.trials:
        found.setdefault(trial.label, {})[trial.number] = trial
    return {label: dict(sorted(trials.items())) for label, trials in found.items()}

  @property
  def card(self) -> Card:
    """One that says what all trials share."""
    return self.runs[0].card

  @property
  def teacher(self) -> Trial | None:
    return next((run.teacher for run in self.runs if run.teacher), None)

  @property
  def origin(self) -> Trial | None:
    return next((run.origin for run in self.runs if run.origin), None)

  @property
  def condensed(self) -> bool:
    """Whether every student began as its own teacher's."""
    teacher = (self.card['training']['teacher'] or {}).get('digest')
    starts = {trial.start for trials in self.labels.values() for trial in trials.values()}
    return self.teacher is not None and starts == {teacher}

  @property
  def teacher_name(self) -> str:
    """What the teacher is, '' where there is none."""
    if self.teacher:
      return self.teacher.network
    known = self.card['training']['teacher']
    return known['model']['family'] if known else ''

  @property
  def title(self) -> str:
    students = dict.fromkeys(
      trial.network for trials in self.labels.values() for trial in trials.values()
    )
    taught = f' taught by {self.teacher_name}' if self.teacher_name else ''
    return f'{self.card["dataset"]["name"]}: {", ".join(students)}{taught}'

  def takes(self, run: Run) -> bool:
    """Whether a run is of these batches and adds trials without contradicting one."""
    if run.batches != self.runs[0].batches:
      return False
    for trial in run.trials:
      known = self.labels.get(trial.label, {})
      if trial.number in known or any(t.settings != trial.settings for t in known.values()):
        return False
    return True


def compared(runs: Sequence[Run]) -> list[Comparison]:
  """Puts together the runs that may stand in one table, in their order.

  A cohort that was split by memory comes together again. The same trial twice, or a label that
  means something else in another run, opens a comparison of its own.
  """
  found = []
  for run in runs:
    place = next((i for i, comparison in enumerate(found) if comparison.takes(run)), len(found))
    found[place : place + 1] = [
      Comparison((*(found[place].runs if place < len(found) else ()), run))
    ]
  return found


def find(folders: Sequence[pathlib.Path]) -> tuple[list[Run], list[pathlib.Path]]:
  """The finished runs in some folders or below them, each once; and the folders of unfinished ones.

  Trainings of teachers are passed over.

  Raises:
    UserError: a folder is not there or holds no finished run; a file in it is damaged.
  """
  found, unfinished = {}, {}
  for folder in folders:
    if not folder.is_dir():
      raise UserError(f'run {str(folder)!r} is no folder; name the folder of a run or of a study')
    before = len(found)
    for path, finished in _walk(folder):
      if finished:
        run = read(path)
        if all(trial.number >= 0 for trial in run.trials):
          found.setdefault(path.resolve(), run)
      else:
        unfinished.setdefault(path.resolve(), path)
    if len(found) == before and not any(folder.resolve() in (p, *p.parents) for p in found):
      raise UserError(
        f'{str(folder)!r} holds no finished run of students: there is no bundles/*/card.json in it '
        'or below; finish one, or name another folder'
      )
  return list(found.values()), list(unfinished.values())


def read(folder: pathlib.Path) -> Run:
  """A finished run.

  Raises:
    UserError: a file is damaged.
  """
  rows = metrics.read(folder)
  probes = _beside(folder, 'probe.json')
  trials = [
    Trial(
      folder,
      path.parent.name,
      _probed(_card(path, _NEEDED), path.parent.name, probes),
    )
    for path in _cards(folder)
  ]
  order = {name: i for i, name in enumerate(dict.fromkeys(row['member'] for row in rows))}
  trials.sort(key=lambda t: (order.get(t.name, len(order)), t.label, t.number))
  diverged = folder / 'diverged.json'
  return Run(
    folder,
    tuple(trials),
    rows,
    *(_teacher(folder, name, probes) for name in _TEACHERS),
    _card(diverged, ()) if diverged.exists() else {},
  )


def _teacher(folder: pathlib.Path, name: str, probes: pathlib.Path | None) -> Trial | None:
  """What the run wrote down of a teacher."""
  path = _beside(folder, f'{name}.json')
  if not path:
    return None
  return Trial(path.parent, name, _probed(_card(path, ('model.family',)), name, probes))


def _beside(folder: pathlib.Path, name: str) -> pathlib.Path | None:
  """A file of the run, which lies one folder higher where the run is a part of a cohort."""
  return next((f / name for f in (folder, folder.parent) if (f / name).exists()), None)


def _probed(card: Card, name: str, probes: pathlib.Path | None) -> Card:
  """A card with what a linear classifier on other data gave among its results."""
  if not probes:
    return card
  found = {data: values[name] for data, values in _card(probes, ()).items() if name in values}
  return {**card, 'results': {**card.get('results', {}), 'probe': found}}


def _walk(top: pathlib.Path):
  """(folder, whether it is finished) of each run at or below a folder."""
  for name, children, files in os.walk(top):
    folder = pathlib.Path(name)
    finished = bool(_cards(folder))
    if finished or 'metrics.jsonl' in files:
      yield folder, finished
    children[:] = sorted(
      (child for child in children if child not in _INSIDE and not child.startswith('.')),
      key=_natural,
    )


def _natural(name: str) -> list[tuple[bool, int, str]]:
  """Sorts part-10 behind part-9."""
  return [
    (part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r'(\d+)', name)
  ]


def _cards(folder: pathlib.Path) -> list[pathlib.Path]:
  # A dot stands before what is half-written.
  return [p for p in sorted(folder.glob('bundles/*/card.json')) if p.parent.name[0] != '.']


def _card(path: pathlib.Path, needed: Sequence[str]) -> Card:
  try:
    card = json.loads(path.read_text())
    if not isinstance(card, dict):
      raise ValueError('it holds no JSON object')
  except ValueError as error:
    raise UserError(f'{str(path)!r} is damaged: {error}; copy the run again') from error
  for name in needed:
    found = card
    for part in name.split('.'):
      if not isinstance(found, dict) or part not in found:
        raise UserError(
          f'{str(path)!r} lacks {name!r}: it is not from a run of this package; name another folder'
        )
      found = found[part]
  return card
