"""The fields of the main job with their defaults, and the checks that need no data."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flax import traverse_util
from ml_collections import ConfigDict

from pidkd_jax import methods, models
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.experiment.pairs import Pair, find
from pidkd_jax.nn import precision
from pidkd_jax.training import memory
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

_METHOD = 'pidkd'


def default(arg: str, pairs: Mapping[str, Pair] | None = None) -> ConfigDict:
  """The main job's configuration; a file in configs/ fills in dataset and length.

  Args:
    arg: `[TEACHER-STUDENT][:][METHOD,...]`, a pair and methods. The first method (pidkd if none
      is named) is `method`, the others are trained beside it in the same cohort, for comparison,
      and lie under `compare`.
    pairs: those that may be named; the first is taken if none is. Without any, the file that calls
      this sets `student` and `teacher.model`.

  Returns:
    Fields, by group:
      student, method.*, compare.METHOD.*: what is trained, with each method's hyper-parameters;
        `student` and `teacher.model` also take 'module:Class', a network of your own.
      total_epochs, batch_size, momentum, drops, drop_factor, learning_rate, weight_decay: how.
      precision: 'float32', 'tf32' or 'bfloat16', what training steps compute in.
      seed: of data order and augmentation, and with the trial's number of the weights.
      trials: members per method that differ only in their seed.
      eval_every: epochs between evaluations.
      checkpoint_seconds: least time between checkpoints; the latest two are kept.
      steps_per_call: 0 chooses by platform.
      devices: how many are used; 0 for all that JAX sees.
      device_groups: into how many groups of equal size they are parted. The devices of a group
        share each batch, by which results change by rounding; the members are spread over the
        groups, between which there is no communication.
      deterministic: whether GPUs compute by deterministic programs only; on CPU all are.
      memory_gib: what a training may take, 0 for 80% of what is free; a cohort that needs more, by
        the estimate of `training/memory.py`, is split into several, one after the other.
      start: a folder with a bundle, with whose student's weights the students begin; '' for weights
        drawn at random.
      teacher.model, .total_epochs, .learning_rate, .weight_decay, .batch_size, .precision, .seed:
        the teacher that is trained if there is none; .bundle: a folder that holds one;
        .dir: where trained ones are kept, by default the folder `teachers` beside the workdir.
      data.name, .dir, .archive, .verify: which dataset, where TFDS keeps it, the user's own
        archive of it (of image_folder: the folder), whether that must be the official one.
      data.image_size: side of the squares that image_folder scales and cuts its images to; 0: they
        all have one size already.
      data.holdout: share of the training split held out to pick the best epoch; 0 for none.
      data.shots: training images of each class that the students see, 0 for all; a teacher that is
        trained sees all.
      data.padding, .flip: augmentation; -1 leaves it to the dataset.
      data.streaming: 'auto', 'always' or 'never': whether the images stay on disk and are read and
        decoded as they are needed. 'auto' does so if the images of both splits, N*H*W*C bytes, take
        more than a quarter of what a training may take (memory_gib; training/memory.py). Results
        are the same; steps_per_call is 1 then.

  Raises:
    UserError: an unknown pair or method, or a method named twice.
  """
  pair, chosen = _parse(arg, pairs or {})
  names = [name.strip() for name in chosen.split(',')]
  if len(set(names)) < len(names):
    raise UserError(f'methods {arg!r}: one is named twice; give trials for several seeds of one')
  recipe = dataclasses.asdict(Recipe())
  numbers = dataclasses.asdict(OptimizerHparams())
  config = ConfigDict(
    {
      'student': '',
      'method': {'name': names[0], **_hyperparameters(names[0], pair)},
      'compare': {name: _hyperparameters(name, pair) for name in names[1:]},
      **recipe,
      **numbers,
      'seed': 0,
      'trials': 1,
      'eval_every': 1,
      'checkpoint_seconds': 60.0,
      'steps_per_call': 0,
      'devices': 0,
      'device_groups': 1,
      'deterministic': False,
      'memory_gib': 0.0,
      'start': '',
      'teacher': {
        'model': '',
        'bundle': '',
        'dir': '',
        'seed': 0,
        'total_epochs': recipe['total_epochs'],
        'batch_size': recipe['batch_size'],
        'precision': recipe['precision'],
        **numbers,
      },
      'data': {
        'name': '',
        'dir': '',
        'archive': '',
        'verify': True,
        'image_size': 0,
        'holdout': 0.0,
        'shots': 0,
        'padding': -1,
        'flip': -1,
        'streaming': 'auto',
      },
    }
  )
  if pair:
    config.student = pair.student
    config.teacher.model = pair.teacher
    config.learning_rate = pair.learning_rate
  return config


def _hyperparameters(method: str, pair: Pair | None) -> dict[str, Any]:
  """A method's defaults, at the pair's size of projectors."""
  found = methods.defaults(method)
  # What has one projector by definition, or of another kind, keeps its own size.
  if pair and found.keys() >= pair.size.keys():
    found |= pair.size
  return found


# What a row says besides its method's hyper-parameters; 0 and '' mean what all rows have.
ROW = {'method': '', 'student': '', 'widen': '', 'trials': 0, 'learning_rate': 0.0}


def study(arg: str, pairs: Mapping[str, Pair]) -> ConfigDict:
  """A study's configuration without its cohorts; a file in configs/studies/ adds them.

  Args:
    arg: 'TEACHER-STUDENT', or '' for the first pair.
    pairs: those that may be named.

  Returns:
    The fields of `default` but for `method` and `compare`, and:
      cohorts.NAME: what is trained in lock step in the folder NAME. Any field of the study may
        stand there again with the cohort's own value.
      cohorts.NAME.rows.LABEL: as `row` makes it.
      cohorts.NAME.probe.name, .archive, .verify, .image_size: where it stands, another dataset, on
        which a linear classifier over each network's frozen features is judged afterwards.

  Raises:
    UserError: an unknown pair.
  """
  return _instead(default(arg and find(pairs, arg).name, pairs), 'cohorts')


def cohort() -> ConfigDict:
  """One cohort's configuration: the fields of `default`, with `rows` for `method` and `compare`.

  A row is made by `row` and assigned as `rows.LABEL`.
  """
  return _instead(default(_METHOD), 'rows')


def _instead(config: ConfigDict, group: str) -> ConfigDict:
  """Puts an empty group in the place of the main job's methods."""
  del config.method, config.compare
  with config.unlocked():
    config[group] = ConfigDict()
  return config


def row(method: str, pair: Pair | None = None, **fields: Any) -> ConfigDict:
  """One row of a study's table.

  Args:
    method: its name.
    pair: whose size of projectors it takes.
    **fields: hyper-parameters of the method where they are not its defaults, and
      student: a network, where it is not the study's;
      widen: the label of a row of the same cohort; the student is widened until it deploys as many
        parameters as that one;
      trials: where they are not the study's;
      learning_rate: likewise.

  Raises:
    UserError: an unknown method.
  """
  return ConfigDict({**ROW, 'method': method, **_hyperparameters(method, pair), **fields})


def cohorts(config: ConfigDict, labels: Sequence[str] = ()) -> dict[str, ConfigDict]:
  """A study's cohorts by name, each with all the fields that it trains by.

  Args:
    config: of `study`, with cohorts.
    labels: of the only rows that are wanted; () for all. A cohort without any is left out.

  Raises:
    UserError: no cohort has a row of such a label, or the config is not a study's.
  """
  _check_whole(config)
  if not config.get('cohorts'):
    raise UserError('the config has no cohorts, so it is no study: run it with `pidkd train`')
  shared = config.to_dict()
  del shared['cohorts']
  known = [label for own in config.cohorts.values() for label in own.rows]
  for label in labels:
    if label not in known:
      raise unknown_name('row', label, known)
  wanted = labels or known
  found = {}
  for name, own in config.cohorts.items():
    own = ConfigDict(own.to_dict())
    own.rows = {label: row for label, row in own.rows.to_dict().items() if label in wanted}
    if not own.rows:
      continue
    found[name] = ConfigDict(shared)
    with found[name].unlocked():
      found[name].update(own)
  return found


def rows(config: ConfigDict) -> dict[str, dict[str, Any]]:
  """What is trained in one cohort, by label, each with every field of a row.

  The main job's are its method and what is compared with it.
  """
  if 'rows' in config:
    return {label: fields.to_dict() for label, fields in config.rows.items()}
  chosen = config.method.to_dict()
  name = chosen.pop('name')
  return {
    label: {**ROW, 'method': label, **fields}
    for label, fields in {name: chosen, **config.compare.to_dict()}.items()
  }


def _parse(arg: str, pairs: Mapping[str, Pair]) -> tuple[Pair | None, str]:
  """The pair and the methods that an argument names."""
  first, _, rest = arg.partition(':')
  if not pairs and '-' in first:
    raise UserError(
      f'{first!r}: there are no pairs for these data; give --config.student and '
      '--config.teacher.model'
    )
  if not pairs:
    return None, arg or _METHOD
  if '-' in first:  # As no method's name has.
    return find(pairs, first.strip()), rest or _METHOD
  return next(iter(pairs.values())), (rest if not first else arg) or _METHOD


# (field, least value, whether that value itself is allowed)
_BOUNDS = (
  ('total_epochs', 1, True),
  ('batch_size', 1, True),
  ('learning_rate', 0, False),
  ('weight_decay', 0, True),
  ('momentum', 0, True),
  ('drop_factor', 0, True),
  ('trials', 1, True),
  ('eval_every', 1, True),
  ('checkpoint_seconds', 0, True),
  ('steps_per_call', 0, True),
  ('devices', 0, True),
  ('device_groups', 1, True),
  ('memory_gib', 0, True),
  ('seed', 0, True),
  ('teacher.total_epochs', 1, True),
  ('teacher.batch_size', 1, True),
  ('teacher.learning_rate', 0, False),
  ('teacher.weight_decay', 0, True),
  ('teacher.seed', 0, True),
  ('data.padding', -1, True),
  ('data.flip', -1, True),
  ('data.holdout', 0, True),
  ('data.shots', 0, True),
)


def check(config: ConfigDict) -> None:
  """What can be told without data: names of networks, and numbers out of their bounds.

  Raises:
    UserError: with the field's name and the bound, or with the nearest name.
  """
  _check_whole(config)
  if 'cohorts' in config:
    raise UserError('the config has cohorts, so it is a study: run it with `pidkd study`')
  models.create(config.student, num_classes=1)
  if not config.teacher.bundle:
    models.create(config.teacher.model, num_classes=1)
  for field, value in _numbers(config):
    if not math.isfinite(value):
      raise UserError(f'{field} is {value}; a finite number is needed')
  for field in ('seed', 'teacher.seed'):
    if get(config, field) >= 2**32:
      raise UserError(f'{field} is {get(config, field)}; it must be below 2**32')
  if config.data.streaming not in memory.STREAMING:
    raise unknown_name('data.streaming', config.data.streaming, memory.STREAMING)
  if config.data.flip not in (-1, 0, 1):
    raise UserError(f"data.flip is {config.data.flip}; it is 1, 0, or -1 for the dataset's own")
  for field, least, allowed in _BOUNDS:
    value = get(config, field)
    if not (value >= least if allowed else value > least):
      raise UserError(
        f'{field} is {value}; it must be {"at least" if allowed else "greater than"} {least}'
      )
  for name in (config.precision, config.teacher.precision):
    precision.find(name)
  for label, fields in rows(config).items():
    if config.start and fields['widen']:
      raise UserError(
        f'{label} is to be widened, and the bundle that start names has one width; leave out either'
      )
    for field in ('trials', 'learning_rate'):
      if fields[field] < 0:
        raise UserError(f'{field} of {label} is {fields[field]}; it must be at least 0')
  if config.data.holdout >= 1:
    raise UserError(f'data.holdout is {config.data.holdout}; a share below 1 is needed')
  if any(not isinstance(drop, float | int) or not 0 < drop <= 1 for drop in config.drops):
    raise UserError(f'drops is {tuple(config.drops)}; fractions of the training are needed, 0 to 1')


def _check_whole(config: ConfigDict) -> None:
  """Refuses what neither `default` nor `study` made."""
  remedy = 'make it as configs/digits.py does'
  if not isinstance(config, ConfigDict):
    raise UserError(f'the config is a {type(config).__name__} and no ConfigDict; {remedy}')
  expected = default(_METHOD)
  del expected.method, expected.compare
  fields, known = (traverse_util.flatten_dict(one.to_dict(), sep='.') for one in (config, expected))
  for name in known:
    if name not in fields:
      raise UserError(f'the config has no {name}; {remedy}')


def _numbers(config: ConfigDict, prefix: str = '') -> Iterator[tuple[str, float]]:
  """Every float in a configuration with its dotted name."""
  for name, value in config.items():
    if isinstance(value, ConfigDict):
      yield from _numbers(value, f'{prefix}{name}.')
    elif isinstance(value, float):
      yield prefix + name, value


def get(config: ConfigDict, field: str) -> Any:
  """A field by its dotted name."""
  for part in field.split('.'):
    config = config[part]
  return config
