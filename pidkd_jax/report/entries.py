"""Types and ranges of the entries of a run's files that a report reads."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pidkd_jax.core.errors import UserError

# Longer values are cut in a message.
_LONGEST = 60
# The largest number that a report computes with; larger ones would overflow.
_LARGEST = 1e100


@dataclasses.dataclass(frozen=True)
class Kind:
  """The values that an entry may have.

  Attributes:
    meaning: what such a value is, for a message.
    accepts: whether a value is one.
  """

  meaning: str
  accepts: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


TEXT = Kind('a text', lambda value: isinstance(value, str))
OBJECT = Kind('an object', lambda value: isinstance(value, dict))
NUMBER = Kind('a number', lambda value: _is_number(value) and abs(value) < _LARGEST)
POSITIVE = Kind('a number from 0 up', lambda value: _is_number(value) and 0 <= value < _LARGEST)
SHARE = Kind('a number from 0 to 1', lambda value: _is_number(value) and 0 <= value <= 1)
WHOLE = Kind('a whole number', _is_whole)
COUNT = Kind('a whole number from 0 up', lambda value: _is_whole(value) and value >= 0)
SIZE = Kind('a whole number from 1 up', lambda value: _is_whole(value) and value >= 1)
# A training that diverges logs a loss that is not finite.
ANY_NUMBER = Kind('a number', lambda value: isinstance(value, float) or _is_whole(value))
TEXTS = Kind(
  'a list of texts',
  lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
)
GROUPS = Kind(
  'a list of lists of texts',
  lambda value: isinstance(value, list) and all(map(TEXTS.accepts, value)),
)
NUMBERS = Kind(
  'a list of numbers',
  lambda value: isinstance(value, list) and all(NUMBER.accepts(item) for item in value),
)
PAIR = Kind('a list of two numbers', lambda value: NUMBERS.accepts(value) and len(value) == 2)
SIZES = Kind(
  'a list of whole numbers from 1 up',
  lambda value: isinstance(value, list) and value != [] and all(map(SIZE.accepts, value)),
)

# {keys of an entry, joined by dots: its kind}. A '*' stands for any key. An entry that is missing
# or null has no kind; `card.read` asks for those that must be there.
CARD: Mapping[str, Kind] = {
  'label': TEXT,
  'network': TEXT,
  'model': OBJECT,
  'model.family': TEXT,
  'dataset': OBJECT,
  'dataset.name': TEXT,
  'dataset.source': TEXT,
  'dataset.fingerprint': TEXT,
  'dataset.class_names': TEXTS,
  'training': OBJECT,
  'training.seed': WHOLE,
  'training.padding': COUNT,
  'training.crop': TEXT,
  'training.crop_scale': PAIR,
  'training.crop_aspect': PAIR,
  'training.holdout': SHARE,
  'training.shots': COUNT,
  'training.unlabelled': OBJECT,
  'training.unlabelled.images': COUNT,
  'training.epoch': COUNT,
  'training.members': SIZE,
  'training.selection': TEXT,
  'training.seconds': POSITIVE,
  'training.wall_seconds': POSITIVE,
  'training.compile_seconds': POSITIVE,
  'training.teacher_seconds': POSITIVE,
  'training.start': OBJECT,
  'training.start.digest': TEXT,
  'training.teacher': OBJECT,
  'training.teacher.digest': TEXT,
  'training.teacher.model': OBJECT,
  'training.teacher.model.family': TEXT,
  'training.recipe': OBJECT,
  'training.recipe.total_epochs': SIZE,
  'training.recipe.batch_size': SIZE,
  'training.recipe.momentum': NUMBER,
  'training.recipe.drop_factor': NUMBER,
  'training.recipe.drops': NUMBERS,
  'training.recipe.optimizer': TEXT,
  'training.recipe.schedule': TEXT,
  'training.recipe.warmup': NUMBER,
  'training.recipe.clip_norm': NUMBER,
  'training.recipe.label_smoothing': NUMBER,
  'training.recipe.mixup': NUMBER,
  'training.recipe.cutmix': NUMBER,
  'training.recipe.augment': TEXT,
  'training.recipe.augment_operations': WHOLE,
  'training.recipe.augment_magnitude': WHOLE,
  'training.recipe.accumulation': SIZE,
  'training.recipe.ema': NUMBER,
  'training.member': OBJECT,
  'training.member.student': TEXT,
  'training.member.method': TEXT,
  'training.member.trial': WHOLE,
  'training.member.hyperparameters': OBJECT,
  'training.member.optimizer': OBJECT,
  'training.member.optimizer.*': NUMBER,
  'training.member.numbers': OBJECT,
  'training.member.numbers.*': NUMBER,
  'cost': OBJECT,
  'cost.parameters': SIZE,
  'cost.multiply_adds': COUNT,
  'cost.training_bytes': COUNT,
  'results': OBJECT,
  'results.top1': SHARE,
  'results.top5': SHARE,
  'results.agreement': SHARE,
  'results.calibration_error': SHARE,
  'results.cross_entropy': POSITIVE,
  'results.alignment_error': POSITIVE,
  'results.best_on_test': OBJECT,
  'results.best_on_test.top1': SHARE,
  'results.best_on_test.epoch': COUNT,
  'environment': OBJECT,
}

# The fields of this package's own networks and methods. A class of the user's own may have fields
# of these names that mean something else.
OUR_MODEL: Mapping[str, Kind] = {
  'model.num_projectors': SIZE,
  'model.factor': SIZE,
  'model.integration': TEXT,
  'model.target': SIZES,
}
OUR_METHOD: Mapping[str, Kind] = {
  'training.member.hyperparameters.num_projectors': SIZE,
  'training.member.hyperparameters.factor': SIZE,
}

# {dataset: {name: accuracy}}.
PROBES: Mapping[str, Kind] = {'*': OBJECT, '*.*': SHARE}

# The members of each part of a cohort that was split, and of those that it gained.
PARTS: Mapping[str, Kind] = {'parts': GROUPS, 'added': GROUPS}

# A line of metrics.jsonl.
ROW: Mapping[str, Kind] = {
  'epoch': COUNT,
  'train_loss': ANY_NUMBER,
  'test_top1': SHARE,
  'holdout_top1': SHARE,
}


def check(
  path: pathlib.Path,
  values: Mapping[str, Any],
  kinds: Mapping[str, Kind],
  *,
  line: int | None = None,
) -> None:
  """Check the types and ranges of a file's entries.

  Args:
    path: the file.
    values: its entries.
    kinds: {keys of an entry, joined by dots: its kind}.
    line: number of the line that the entries are from; None for a file of one object, whose
      entries may be null.

  Raises:
    UserError: A value is of another type, or out of its range; the message names entry and value.
  """
  for pattern, kind in kinds.items():
    for name, value in _find(values, pattern.split('.')):
      if kind.accepts(value) or (value is None and line is None):
        continue
      shown = repr(value)
      shown = shown if len(shown) <= _LONGEST else f'{shown[:_LONGEST]}...'
      place = '' if line is None else f' at line {line}'
      raise UserError(
        f'{str(path)!r} is damaged{place}: {name} is {shown} and not {kind.meaning}; copy the run '
        'again'
      )


def _find(values: Any, keys: list[str], prefix: str = '') -> Iterator[tuple[str, Any]]:
  """Yield (name, value) of each entry that is there."""
  if not keys:
    yield prefix, values
  elif isinstance(values, dict):
    first, *others = keys
    for key in list(values) if first == '*' else [first] if first in values else []:
      yield from _find(values[key], others, f'{prefix}.{key}' if prefix else str(key))
