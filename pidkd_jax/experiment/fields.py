"""The fields of a configuration: name, default, meaning and bounds, each said once.

`config.default` makes a configuration of them, `check.check` takes their bounds, and
`docs/reference/configuration.py` writes their tables.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from flax import traverse_util
from ml_collections import ConfigDict

from pidkd_jax.core.errors import UserError
from pidkd_jax.data.pipeline import augment
from pidkd_jax.nn import image_policies, precision
from pidkd_jax.training import free_memory, optimizer
from pidkd_jax.training.recipe import OptimizerHparams, Recipe


@dataclasses.dataclass(frozen=True)
class Requirement:
  """What a value must be, beyond a lower bound and a list of choices.

  Attributes:
    text: ends the message to a user whose value does not meet it.
    holds: tells whether a value meets it.
  """

  text: str
  holds: Callable[[Any], bool]


@dataclasses.dataclass(frozen=True)
class Field:
  """A field of a configuration.

  Attributes:
    name: dotted, as in `--config.NAME=VALUE`.
    default: the value of a new configuration; a run of an older version has it too.
    doc: the meaning in a dozen words at most, Markdown.
    least: the lower bound of a number, or None.
    exclusive: whether the lower bound itself is excluded.
    choices: the names to choose from; () where the value is no such name.
    requirement: a further one, or None.
  """

  name: str
  default: Any
  doc: str
  least: float | None = None
  exclusive: bool = False
  choices: Collection[str] = ()
  requirement: Requirement | None = None


def _rise(pair: Any, most: float) -> bool:
  """Whether a value is two numbers above 0, not falling, and at most `most`."""
  numbers = len(pair) == 2 and all(isinstance(value, float | int) for value in pair)
  return numbers and 0 < pair[0] <= pair[1] <= most


_SEED = Requirement('it must be below 2**32', lambda seed: seed < 2**32)
_TRIAL = Requirement('it must be below 2**31', lambda trial: trial < 2**31)
_SHARE = Requirement('a share below 1 is needed', lambda share: share < 1)
# A step computes with its value in float32.
_DECAY = Requirement(
  'a share below 1 is needed, from 1e-7 to 1 - 1e-7, or 0 for none',
  lambda decay: decay <= 0 or 1e-7 <= decay <= 1 - 1e-7,
)
_PART = Requirement('a share up to 1 is needed', lambda share: share <= 1)
_SCALE = Requirement(
  'two shares are needed, the smaller first, above 0 and up to 1', lambda pair: _rise(pair, 1)
)
_ASPECT = Requirement(
  'two numbers above 0 are needed, the smaller first', lambda pair: _rise(pair, math.inf)
)
_MAGNITUDE = Requirement('a step up to 30 is needed', lambda step: step < image_policies.STEPS)
_SWITCH = Requirement("it is 1, 0, or -1 for the dataset's own", lambda value: value in (-1, 0, 1))
_DROPS = Requirement(
  'fractions of the training are needed, 0 to 1',
  lambda drops: all(isinstance(drop, float | int) and 0 < drop <= 1 for drop in drops),
)

# Of the recipe, for students and teacher alike: how weights move, and what a step sees.
_OPTIMIZER = (
  Field(
    'optimizer',
    Recipe.optimizer,
    "'sgd', 'nesterov' (SGD with Nesterov's momentum) or 'adamw'",
    choices=tuple(optimizer.RULES),
  ),
  Field(
    'schedule',
    Recipe.schedule,
    "of the learning rate: 'drops', or 'cosine' down to 0",
    choices=tuple(optimizer.SCHEDULES),
  ),
  Field(
    'warmup',
    Recipe.warmup,
    'share of the training in which the rate first rises',
    least=0,
    requirement=_SHARE,
  ),
  Field('clip_norm', Recipe.clip_norm, 'longest gradient; 0 for no limit', least=0),
  Field(
    'accumulation',
    Recipe.accumulation,
    'parts of a batch whose gradients are averaged before a step',
    least=1,
  ),
  Field(
    'ema',
    Recipe.ema,
    'decay of the average that is evaluated, e.g. 0.999; 0: none',
    least=0,
    requirement=_DECAY,
  ),
)
_IMAGES = (
  Field(
    'label_smoothing',
    Recipe.label_smoothing,
    'share of each label that all classes get alike',
    least=0,
    requirement=_SHARE,
  ),
  Field('mixup', Recipe.mixup, 'alpha of mixup; 0 for none', least=0),
  Field('cutmix', Recipe.cutmix, 'alpha of CutMix; 0 for none', least=0),
  Field(
    'augment',
    Recipe.augment,
    "random operations: 'none', 'rand' (RandAugment) or 'trivial' (TrivialAugment)",
    choices=tuple(image_policies.POLICIES),
  ),
  Field('augment_operations', Recipe.augment_operations, "of an image, of 'rand'", least=1),
  Field(
    'augment_magnitude',
    Recipe.augment_magnitude,
    "of 'rand', 0 to 30",
    least=0,
    requirement=_MAGNITUDE,
  ),
)


def _of_teacher(fields: tuple[Field, ...]) -> tuple[Field, ...]:
  return tuple(dataclasses.replace(field, name=f'teacher.{field.name}') for field in fields)


# {section of docs/reference/configuration.md: its fields}.
SECTIONS: Mapping[str, tuple[Field, ...]] = {
  'What is trained': (
    Field('student', '', 'its network, e.g. `resnet8`, `resnet8*0.5` or `module:Class`'),
    Field('trials', 1, 'members per method that differ only in their seed', least=1),
    Field(
      'first_trial',
      0,
      'number of the first; machines can share trials',
      least=0,
      requirement=_TRIAL,
    ),
    Field(
      'seed',
      0,
      'of data order and augmentation, and with the trial of the weights',
      least=0,
      requirement=_SEED,
    ),
    Field('start', '', "folder of a bundle whose student's weights the students begin with"),
  ),
  'The recipe': (
    Field('total_epochs', Recipe.total_epochs, 'epochs of the students', least=1),
    Field('batch_size', Recipe.batch_size, 'images in a step', least=1),
    Field('learning_rate', OptimizerHparams.learning_rate, 'at the start', least=0, exclusive=True),
    Field('momentum', Recipe.momentum, "of SGD; of 'adamw' the first moment's", least=0),
    Field('weight_decay', OptimizerHparams.weight_decay, 'of all parameters', least=0),
    Field(
      'drops',
      Recipe.drops,
      'shares of the training at which the rate drops',
      requirement=_DROPS,
    ),
    Field('drop_factor', Recipe.drop_factor, 'multiplies the rate at each drop', least=0),
    Field(
      'precision',
      Recipe.precision,
      "of training steps: 'float32', 'tf32' or 'bfloat16'",
      choices=tuple(precision.PRECISIONS),
    ),
  ),
  "Beyond the literature's recipe": _OPTIMIZER,
  'Other images and labels': _IMAGES,
  'The run': (
    Field('eval_every', 1, 'epochs between evaluations', least=1),
    Field(
      'eval_precision',
      'float32',
      'of evaluations before the last epoch, without a hold-out',
      choices=tuple(precision.PRECISIONS),
    ),
    Field(
      'checkpoint_seconds',
      60.0,
      'least time between checkpoints; the latest two are kept',
      least=0,
    ),
    Field(
      'steps_per_call', 0, 'the most steps in one compiled call; 0 chooses by platform', least=0
    ),
    Field(
      'look_ahead',
      0,
      'the most batches in one pass of the teacher; 0 chooses',
      least=0,
    ),
    Field('side_by_side', False, 'whether equal members take the steps of a call in one program'),
    Field('writers', (), 'where metrics go beside TensorBoard: `wandb`, `mlflow`'),
    Field('devices', 0, 'devices to use; 0 for all that JAX sees', least=0),
    Field('device_groups', 1, 'groups of equal size that the devices are divided into', least=1),
    Field('deterministic', False, 'whether GPUs use deterministic programs only'),
    Field('memory_gib', 0.0, 'what a training may take; 0 for 80% of the free memory', least=0),
  ),
  'The teacher': (
    Field('teacher.bundle', '', 'folder that holds the teacher'),
    Field(
      'teacher.dir',
      '',
      'folder of trained teachers; default: `teachers` beside a run, within a study',
    ),
    Field('teacher.model', '', 'network of a teacher that is trained, or `module:Class`'),
    Field('teacher.start', '', 'folder of a bundle with whose weights its training begins'),
    Field('teacher.total_epochs', Recipe.total_epochs, 'its epochs', least=1),
    Field('teacher.batch_size', Recipe.batch_size, 'its images in a step', least=1),
    Field(
      'teacher.learning_rate',
      OptimizerHparams.learning_rate,
      'its rate at the start',
      least=0,
      exclusive=True,
    ),
    Field('teacher.weight_decay', OptimizerHparams.weight_decay, 'of all parameters', least=0),
    Field(
      'teacher.precision',
      Recipe.precision,
      'of its training steps',
      choices=tuple(precision.PRECISIONS),
    ),
    Field('teacher.shots', 0, 'training images of each class for it; 0 for all', least=0),
    Field('teacher.seed', 0, 'of its data order and weights', least=0, requirement=_SEED),
  ),
  "The teacher's, beyond the literature": _of_teacher(_OPTIMIZER),
  "The teacher's other images and labels": _of_teacher(_IMAGES),
  'Data': (
    Field('data.name', '', 'data set ([Data sets](data.md)), or `module:Class`'),
    Field('data.dir', '', "TFDS's folder; TFDS's own if empty"),
    Field('data.archive', '', 'your archive of it; of `image_folder` the folder, table or shards'),
    Field('data.verify', True, 'whether the archive must be the official one'),
    Field('data.image_size', 0, "side of what networks see; 0: the data set's own"),
    Field('data.teacher_size', 0, 'side of the squares that a larger teacher sees; 0: the same'),
    Field(
      'data.holdout',
      0.0,
      'share of the training split that picks the best epoch',
      least=0,
      requirement=_SHARE,
    ),
    Field('data.shots', 0, 'training images of each class for the students; 0 for all', least=0),
    Field(
      'data.unlabelled',
      '',
      "folder of images that students see without labels; 'rest': those beyond `data.shots`",
    ),
    Field(
      'data.streaming',
      'auto',
      "'auto', 'always' or 'never': whether images stay on disk",
      choices=tuple(free_memory.STREAMING),
    ),
  ),
  'Crops and flips': (
    Field(
      'data.crop_ratio',
      1.0,
      'share of the shorter side that evaluation keeps',
      least=0,
      exclusive=True,
      requirement=_PART,
    ),
    Field(
      'data.crop',
      'pad',
      "random crop: 'pad' (padded, then cut), or 'resized' (a part, then resized)",
      choices=tuple(augment.CROPS),
    ),
    Field(
      'data.crop_scale',
      augment.ResizedCrop.scale,
      "least and largest share of the area, of 'resized'",
      requirement=_SCALE,
    ),
    Field(
      'data.crop_aspect',
      augment.ResizedCrop.aspect,
      "least and largest width over height, of 'resized'",
      requirement=_ASPECT,
    ),
    Field('data.padding', -1, "of the crop 'pad'; -1 leaves it to the data set", least=-1),
    Field('data.flip', -1, '1 or 0; -1 leaves it to the data set', requirement=_SWITCH),
  ),
}

FIELDS = tuple(itertools.chain(*SECTIONS.values()))

# The fields of the students' recipe.
RECIPE = tuple(
  field for field in FIELDS if field.name in {one.name for one in dataclasses.fields(Recipe)}
)

# Of a row, beside its method's hyper-parameters; '' and 0 stand for the value of all rows.
ROW = (
  Field('method', '', "the method's name, or `module:Class`"),
  Field('student', '', "its network, where it is not the study's"),
  Field('widen', '', 'label of a row of the same cohort, which sets its size'),
  Field('trials', 0, "its trials, where they are not the study's", least=0),
  Field('learning_rate', 0.0, "its rate, where it is not the study's", least=0),
)


def defaults(fields: Collection[Field]) -> dict[str, Any]:
  """Return {name: default}, nested at the names' dots."""
  return traverse_util.unflatten_dict({field.name: field.default for field in fields}, sep='.')


def get(config: ConfigDict, name: str) -> Any:
  """Return a field's value by its dotted name."""
  for part in name.split('.'):
    config = config[part]
  return config


def require(config: Any) -> None:
  """Check that a configuration has every field.

  Raises:
    UserError: it is no ConfigDict, or lacks a field.
  """
  remedy = 'make it as configs/digits.py does'
  if not isinstance(config, ConfigDict):
    raise UserError(f'the config is a {type(config).__name__} and no ConfigDict; {remedy}')
  present = traverse_util.flatten_dict(config.to_dict(), sep='.')
  for field in FIELDS:
    if field.name not in present:
      raise UserError(f'the config has no {field.name}; {remedy}')
