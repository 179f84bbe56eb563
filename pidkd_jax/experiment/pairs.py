"""The teacher-student pairs of the literature and ours, with recipe and projector size.

Any two networks make a pair, with sizes as below; the tables hold those with known recipes. A pair
is called 'TEACHER-STUDENT'. A deployed student (encoder, projectors, the teacher's
classifier) stays smaller than its teacher. Where no study chose the projectors' size, q is 3 and
the factor is the least power of two that meets this bound, from 2 on: SimKD's most accurate.
"""

import dataclasses
from collections.abc import Mapping

from pidkd_jax import models
from pidkd_jax.core.errors import UserError, unknown_name


@dataclasses.dataclass(frozen=True)
class Pair:
  """A teacher and a student.

  Attributes:
    teacher: name of a network.
    student: name of a network.
    learning_rate: the student's, of the recipe that RepDistiller, mdistiller and SimKD share.
    num_projectors: q, the projectors of a student.
    factor: f, the target's channels over a projector's hidden width.
    study: the study by `configs/studies/projectors.py` that chose q and f: data, epochs and path of
      the report; '' for none.
  """

  teacher: str
  student: str
  learning_rate: float = 0.05
  num_projectors: int = 3
  factor: int = 2
  study: str = ''

  @property
  def name(self) -> str:
    """TEACHER-STUDENT."""
    return f'{self.teacher}-{self.student}'

  @property
  def size(self) -> dict[str, int]:
    """The projectors' size, as hyper-parameters of a method."""
    return {'num_projectors': self.num_projectors, 'factor': self.factor}


def _light(teacher: str, student: str, **more) -> Pair:
  """Return a pair with a MobileNetV2 or ShuffleNet student, whose learning rate is a fifth."""
  return Pair(teacher, student, learning_rate=0.01, **more)


def _named(*pairs: Pair) -> Mapping[str, Pair]:
  return {pair.name: pair for pair in pairs}


CIFAR100 = _named(
  # SimKD (arXiv:2203.14001), where resnet38x2 and resnet38 are called WRN-40-2 and WRN-40-1.
  Pair('resnet32x4', 'resnet8x4'),
  Pair('resnet32x4', 'vgg8'),
  _light('resnet32x4', 'ShuffleV2_1_5'),
  Pair('resnet38x2', 'resnet38'),
  # RepDistiller (arXiv:1910.10699), and papers that compare with it.
  Pair('vgg13', 'vgg8'),
  Pair('wrn_40_2', 'wrn_40_1'),
  Pair('wrn_40_2', 'wrn_16_2'),
  Pair('resnet56', 'resnet20'),
  Pair('resnet110', 'resnet32'),
  Pair('resnet110', 'resnet20'),
  _light('resnet32x4', 'ShuffleV1'),
  _light('resnet32x4', 'ShuffleV2'),
  _light('wrn_40_2', 'ShuffleV1'),
  _light('vgg13', 'MobileNetV2'),
  _light('ResNet50', 'MobileNetV2', factor=4),
  Pair('ResNet50', 'vgg8', factor=4),
  # LSKD (CVPR 2024).
  Pair('resnet32x4', 'wrn_16_2'),
  Pair('resnet32x4', 'wrn_40_2'),
  Pair('wrn_40_2', 'resnet8x4'),
  _light('wrn_40_2', 'MobileNetV2'),
  # Ours, small enough for studies on two cores.
  Pair(
    'resnet14x2',
    'resnet8',
    num_projectors=2,
    factor=1,
    study='TIN-100/20, 5 epochs, 2 trials: docs/lab/results/projectors/report.md',
  ),
)

# Ours, for 8x8 digits.
DIGITS = _named(Pair('resnet14x2', 'resnet8'))

TINY_IMAGENET = _named(
  Pair('resnet32x4', 'resnet8x4'),
  _light('resnet32x4', 'ShuffleV2'),
  # mdistiller.
  _light('ResNet18', 'MobileNetV2_TinyImageNet'),
  _light('ResNet18', 'ShuffleV2'),
)


# {student: the learning rate that it has in all pairs}.
_RATES = {
  pair.student: pair.learning_rate for pair in (*CIFAR100.values(), *TINY_IMAGENET.values())
}


def find(pairs: Mapping[str, Pair], name: str) -> Pair:
  """Return the pair called `name`.

  A pair that is not among `pairs` has the default size of projectors, and the learning rate that
  its student has in a pair of the literature.

  Args:
    pairs: those of a data set.
    name: TEACHER-STUDENT, two names of `models.names()`, with or without a factor on their widths.

  Raises:
    UserError: the name has another form, or a network is unknown.

  Example:
    >>> pair = find(CIFAR100, 'resnet56-resnet8*0.5')
    >>> pair.student, pair.learning_rate, pair.size
    ('resnet8*0.5', 0.05, {'num_projectors': 3, 'factor': 2})
  """
  if name in pairs:
    return pairs[name]
  networks = name.split('-')
  if len(networks) != 2:
    raise UserError(f'{name!r} is no pair; write TEACHER-STUDENT, e.g. {next(iter(pairs))}')
  for network in networks:
    base = network.partition('*')[0]
    if base not in models.names():
      where = f'model in the pair {name!r}:'
      raise unknown_name(where, base, models.names(), 'pidkd networks')
  teacher, student = networks
  return Pair(teacher, student, _RATES.get(student.partition('*')[0], Pair.learning_rate))


def chosen(pairs: Mapping[str, Pair], arg: str) -> Pair:
  """Return the pair that a config file's argument names, or the first if it is empty."""
  return find(pairs, arg) if arg else next(iter(pairs.values()))
