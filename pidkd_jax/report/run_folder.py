"""The folder of a finished run: its trials, its metrics and its teachers."""

import dataclasses
import functools
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

from pidkd_jax.core.errors import UserError
from pidkd_jax.report import card, entries, examples
from pidkd_jax.report.card import Card
from pidkd_jax.report.examples import Examples
from pidkd_jax.report.trial import Trial
from pidkd_jax.training import metrics
from pidkd_jax.training.recipe import Recipe

# The entries that a report reads of every trial's card.
_REQUIRED = (
  'label',
  'model.family',
  *(f'dataset.{name}' for name in ('name', 'source', 'fingerprint')),
  *(f'training.member.{name}' for name in ('trial', 'method', 'hyperparameters')),
  *(
    f'training.recipe.{name}'
    for name in ('total_epochs', 'batch_size', 'momentum', 'drops', 'drop_factor')
  ),
  *(f'training.{name}' for name in ('seed', 'padding', 'flip', 'holdout')),
  *(f'training.{name}' for name in ('teacher', 'selection', 'epoch', 'members')),
  *(f'cost.{name}' for name in ('parameters', 'multiply_adds')),
  'results.top1',
  'environment',
)
# The entries of a student's card, if it had a teacher, and of the teacher's own card.
_REQUIRED_OF_REFERENCE = ('training.teacher.digest', 'training.teacher.model.family')
_REQUIRED_OF_TEACHER = ('model.family', 'cost.parameters', 'cost.multiply_adds', 'results.top1')

# Besides data, teacher and recipe, these decide the batches of a training.
_BATCHES = ('seed', 'padding', 'flip', 'holdout')
_CROP = ('crop', 'crop_scale', 'crop_aspect')
# The entries of a card whose crop is not the padded one, and of one with unlabelled images.
_REQUIRED_OF_CROP = tuple(f'training.{name}' for name in _CROP)
_REQUIRED_OF_UNLABELLED = ('training.unlabelled.images',)
# The folder of a part, below that of its run.
_PART = re.compile(r'part-\d+')
# Large subfolders of a run, which contain no other run. Elsewhere folders may have such names.
_NOT_SEARCHED = ('bundles', 'checkpoints', 'tensorboard', 'outputs')


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
  """A run, or one part of it.

  Attributes:
    folder: the run's folder.
    trials: the trained members, in their order in the run.
    rows: the rows of metrics.jsonl.
    teacher: the teacher; None if no member had one, or if the run does not describe it.
    origin: the teacher's own teacher, if the run describes it.
    diverged: {member: the step from which it was left out}, also of parts of the whole run that
      lost all of their members.
  """

  folder: pathlib.Path
  trials: tuple[Trial, ...]
  rows: Sequence[metrics.Row]
  teacher: Trial | None
  origin: Trial | None = None
  diverged: Mapping[str, int] = dataclasses.field(default_factory=dict)

  @property
  def card(self) -> Card:
    """The card of the first trial, for entries that all trials of the run share."""
    return self.trials[0].card

  @property
  def is_finished(self) -> bool:
    """Whether each member that trained in this folder has its bundle or diverged."""
    known = {trial.name for trial in self.trials} | self.diverged.keys()
    return bool(self.trials) and len(known) >= self.card['training']['members']

  @property
  def is_of_students(self) -> bool:
    """Whether this is no training of a teacher."""
    return all(trial.number >= 0 for trial in self.trials)

  @functools.cached_property
  def examples(self) -> Examples | None:
    """The test images that the run kept, or None where there are none that can be shown.

    Raises:
      UserError: The file is damaged.
    """
    path = _locate(self.folder, 'outputs/examples.npz')
    return examples.read(path) if path else None

  @property
  def data_and_teacher(self) -> str:
    """A key that is equal for runs on the same images under the same teacher."""
    training = self.card['training']
    return json.dumps(
      [self.card['dataset']['fingerprint'], (training['teacher'] or {}).get('digest')]
    )

  @property
  def pairing_key(self) -> str:
    """A key that is equal for runs with the same batches, the same teacher and the same choice."""
    training = self.card['training']
    return json.dumps(
      [
        self.card['dataset']['fingerprint'],
        (training['teacher'] or {}).get('digest'),
        # Older cards lack what their version did not have.
        dataclasses.asdict(Recipe()) | training['recipe'],
        *(training[name] for name in _BATCHES),
        # A hold-out picks among the epochs that were evaluated.
        training.get('eval_every', 1) if training['holdout'] else None,
        # Older cards lack it, as all images were the only choice.
        training.get('shots') or 0,
        training.get('unlabelled'),
        # Older cards lack it, as the padded crop was the only choice.
        None if training.get('crop', 'pad') == 'pad' else [training[name] for name in _CROP],
      ],
      sort_keys=True,
    )


def read(folder: pathlib.Path) -> Run:
  """Read a run, as far as it lies in this folder itself.

  Raises:
    UserError: A file is damaged.
  """
  rows = metrics.read(folder)
  for number, row in enumerate(rows, start=1):
    entries.check(folder / 'metrics.jsonl', {'epoch': None, **row}, entries.ROW, line=number)
  probes = _locate(folder, 'probe.json')
  trials = [
    Trial(folder, path.parent.name, _with_probes(_read_card(path), path.parent.name, probes))
    for path in _card_paths(folder)
  ]
  order = {name: i for i, name in enumerate(dict.fromkeys(row['member'] for row in rows))}
  trials.sort(key=lambda t: (order.get(t.name, len(order)), t.label, t.number))
  diverged = folder / 'diverged.json'
  return Run(
    folder,
    tuple(trials),
    rows,
    teacher=_read_teacher(folder, 'teacher', probes),
    origin=_read_teacher(folder, 'origin', probes),
    diverged=card.read(diverged) if diverged.exists() else {},
  )


def read_whole(folder: pathlib.Path) -> list[Run]:
  """Read a run with its parts, those of a cohort that was split and of members that it gained.

  Raises:
    UserError: The folder contains no finished run of students, or a file is damaged. Runs deeper
      below it do not count.
  """
  runs = [read(place) for place in (folder, *_parts(folder)) if _card_paths(place)]
  runs = [_with_lost(run) for run in runs if run.is_finished and run.is_of_students]
  if not runs:
    raise _without_runs(folder)
  return runs


def find(folders: Sequence[pathlib.Path]) -> tuple[list[Run], list[pathlib.Path]]:
  """Find the runs in some folders or below them; teachers' trainings are passed over.

  Returns:
    The finished runs, each once, and the folders of the unfinished ones.

  Raises:
    UserError: A folder is missing or contains no finished run, or a file is damaged.
  """
  runs, unfinished = {}, {}
  for folder in folders:
    if not folder.is_dir():
      raise UserError(f'run {str(folder)!r} is no folder; name the folder of a run or of a study')
    before = len(runs)
    for path in _walk(folder):
      run = read(path) if _card_paths(path) else None
      if run is None or not run.is_finished:
        unfinished.setdefault(path.resolve(), path)
      elif run.is_of_students:
        runs.setdefault(path.resolve(), _with_lost(run))
    if len(runs) == before and not any(folder.resolve() in (p, *p.parents) for p in runs):
      raise _without_runs(folder)
  # A finished part of the same run names the members of one that is lost.
  homes = {_home(path) for path in runs}
  left = [one for path, one in unfinished.items() if _home(path) not in homes or not _lost(one)]
  return list(runs.values()), left


def _home(folder: pathlib.Path) -> pathlib.Path:
  """Return the folder of the whole run to which a run's folder or a part belongs."""
  return folder.parent if _PART.fullmatch(folder.name) else folder


def _parts(home: pathlib.Path) -> list[pathlib.Path]:
  """Return the folders of a whole run's parts, in their order."""
  found = (place for place in home.glob('part-*') if _PART.fullmatch(place.name))
  return sorted(found, key=lambda part: _natural_order(part.name))


def _with_lost(run: Run) -> Run:
  """Return a run that also names the members of its parts of which nothing is left."""
  home, diverged = _home(run.folder), dict(run.diverged)
  for part in (home, *_parts(home)):
    diverged |= _lost(part)
  return dataclasses.replace(run, diverged=diverged)


def _lost(part: pathlib.Path) -> Mapping[str, int]:
  """Return {member: step} of a part of which every member diverged; {} of any other folder."""
  home = _home(part)
  found, parts = part / 'diverged.json', home / 'parts.json'
  if not (found.exists() and parts.exists()):
    return {}
  diverged, whole = card.read(found), card.read(parts, kinds=entries.PARTS)
  first, added = (whole.get(name) or [] for name in ('parts', 'added'))
  # A cohort that was never split lies in the run's own folder.
  number = int(part.name.removeprefix('part-')) if home != part else len(first) == 1
  names = [*first, *added][number - 1 : number] if number else []
  return diverged if names and set(names[0]) <= diverged.keys() else {}


def _without_runs(folder: pathlib.Path) -> UserError:
  return UserError(
    f'{str(folder)!r} holds no finished run of students: no run there has bundles/*/card.json of '
    'all of its members; finish one, or name another folder'
  )


def _read_card(path: pathlib.Path) -> Card:
  found = card.read(path, _REQUIRED, entries.CARD)
  _check_fields(path, found)
  if found['training']['teacher'] is not None:
    card.require(path, found, _REQUIRED_OF_REFERENCE)
  if found['training'].get('crop', 'pad') != 'pad':
    card.require(path, found, _REQUIRED_OF_CROP)
  if found['training'].get('unlabelled') is not None:
    card.require(path, found, _REQUIRED_OF_UNLABELLED)
  return found


def _check_fields(path: pathlib.Path, found: Card) -> None:
  """Check the fields of a network and a method, unless they are the user's own ('module:Class')."""
  member = (found.get('training') or {}).get('member') or {}
  names = (found['model']['family'], member.get('method') or '')
  for name, kinds in zip(names, (entries.OUR_MODEL, entries.OUR_METHOD), strict=True):
    if ':' not in name:
      entries.check(path, found, kinds)


def _read_teacher(folder: pathlib.Path, name: str, probes: pathlib.Path | None) -> Trial | None:
  """Return the run's description of a teacher, if it has one."""
  path = _locate(folder, f'{name}.json')
  if not path:
    return None
  found = card.read(path, _REQUIRED_OF_TEACHER, entries.CARD)
  _check_fields(path, found)
  return Trial(path.parent, name, _with_probes(found, name, probes))


def _locate(folder: pathlib.Path, name: str) -> pathlib.Path | None:
  """Return the path of a run's file; for a part of a split cohort it lies one folder higher."""
  places = (folder, folder.parent) if _PART.fullmatch(folder.name) else (folder,)
  return next((path for place in places if (path := place / name).exists()), None)


def _with_probes(found: Card, name: str, probes: pathlib.Path | None) -> Card:
  """Return a card with the accuracies of linear probes on other datasets among its results."""
  if not probes:
    return found
  accuracies = {
    dataset: values[name]
    for dataset, values in card.read(probes, kinds=entries.PROBES).items()
    if values and name in values
  }
  return {**found, 'results': {**found.get('results', {}), 'probe': accuracies}}


def _walk(top: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yield the folder of each run at or below a folder, finished or not."""
  seen = set()
  for name, children, files in os.walk(top, followlinks=True):
    folder, passed_over = pathlib.Path(name), ()
    real = os.path.realpath(name)
    if real in seen:  # A link that leads back.
      children.clear()
      continue
    seen.add(real)
    if 'metrics.jsonl' in files or _card_paths(folder):
      yield folder
      passed_over = _NOT_SEARCHED
    children[:] = sorted(
      (child for child in children if child not in passed_over and not child.startswith('.')),
      key=_natural_order,
    )


def _natural_order(name: str) -> list[tuple[bool, int, str]]:
  """Return a sort key that puts part-10 after part-9."""
  # A raised 2 is a digit, and no decimal.
  return [
    (part.isdecimal(), int(part) if part.isdecimal() else 0, part)
    for part in re.split(r'(\d+)', name)
  ]


def _card_paths(folder: pathlib.Path) -> list[pathlib.Path]:
  # A leading dot marks a bundle that is only partly written.
  return [path for path in sorted(folder.glob('bundles/*/card.json')) if path.parent.name[0] != '.']
