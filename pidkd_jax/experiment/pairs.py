"""The teacher-student pairs, of the literature and one of ours: recipe and projector size.

A pair is called 'TEACHER-STUDENT'. What a student deploys (encoder, projectors, teacher's
classifier) stays smaller than its teacher: where no study chose the projectors' size, the factor is
the least power of two from SimKD's most accurate, 2, on for which that is so at q = 3.
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
    num_projectors: q.
    factor: f.
    study: what chose q and f, by `configs/studies/projectors.py`: data, epochs and where the report
      lies; '' for none.
  """

  teacher: str
  student: str
  learning_rate: float = 0.05
  num_projectors: int = 3
  factor: int = 2
  study: str = ''

  @property
  def name(self) -> str:
    return f'{self.teacher}-{self.student}'

  @property
  def size(self) -> dict[str, int]:
    """The projectors' size as hyper-parameters of a method."""
    return {'num_projectors': self.num_projectors, 'factor': self.factor}


def _light(teacher: str, student: str, **more) -> Pair:
  """A MobileNetV2 or ShuffleNet as the student: the shared recipe trains it more gently."""
  return Pair(teacher, student, learning_rate=0.01, **more)


def _named(*pairs: Pair) -> Mapping[str, Pair]:
  return {pair.name: pair for pair in pairs}


CIFAR100 = _named(
  # SimKD (arXiv:2203.14001), where resnet38x2 and resnet38 are called WRN-40-2 and WRN-40-1.
  Pair('resnet32x4', 'resnet8x4'),
  Pair('resnet32x4', 'vgg8'),
  _light('resnet32x4', 'ShuffleV2_1_5'),
  Pair('resnet38x2', 'resnet38'),
  # RepDistiller (arXiv:1910.10699), and those who compare with it.
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
  """The pair called `name`; raises UserError with the nearest name if there is none."""
  if name not in pairs:
    raise unknown_name('pair', name, pairs)
  return pairs[name]


def chosen(pairs: Mapping[str, Pair], arg: str) -> Pair:
  """The pair that an argument names, or the first one if it is empty."""
  return find(pairs, arg) if arg else next(iter(pairs.values()))
