"""The teacher-student pairs of the literature and one of ours, with recipe and projector size.

A pair is called 'TEACHER-STUDENT'. A deployed student (encoder, projectors, the teacher's
classifier) stays smaller than its teacher. Where no study chose the projectors' size, q is 3 and
the factor is the least power of two that meets this bound, from 2 on: SimKD's most accurate.
"""

import dataclasses
from collections.abc import Mapping

from pidkd_jax.core.errors import unknown_name


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

TINY_IMAGENET = _named(
  Pair('resnet32x4', 'resnet8x4'),
  _light('resnet32x4', 'ShuffleV2'),
  # mdistiller.
  _light('ResNet18', 'MobileNetV2_TinyImageNet'),
  _light('ResNet18', 'ShuffleV2'),
)


def find(pairs: Mapping[str, Pair], name: str) -> Pair:
  """Return the pair called `name`.

  Raises:
    UserError: there is none; the message has the nearest name.
  """
  if name not in pairs:
    raise unknown_name('pair', name, pairs)
  return pairs[name]


def chosen(pairs: Mapping[str, Pair], arg: str) -> Pair:
  """Return the pair that a config file's argument names, or the first if it is empty."""
  return find(pairs, arg) if arg else next(iter(pairs.values()))
