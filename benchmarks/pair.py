"""The pair of networks that both sides of a comparison train, and how they begin."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import traverse_util

from benchmarks.pytorch import networks, simkd
from pidkd_jax.bundles import torch_import
from pidkd_jax.data import noise
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.models.network import Network
from pidkd_jax.nn.precision import PRECISIONS, Precision
from pidkd_jax.training.recipe import OptimizerHparams

CLASSES = 100
SIDE = 32
HPARAMS = OptimizerHparams()
MOMENTUM = 0.9
# Steps on equal batches whose losses are compared before anything is timed.
AGREEING_STEPS = 5


@dataclasses.dataclass(frozen=True)
class Setting:
  """What both sides train.

  Attributes:
    num_projectors: q.
    factor: f, which divides the projectors' hidden width.
    precision: a name of `PRECISIONS`.
    steps: in a round.
  """

  teacher: str = 'resnet32x4'
  student: str = 'resnet8x4'
  num_projectors: int = 3
  factor: int = 2
  batch_size: int = 64
  precision: str = 'float32'
  steps: int = 6

  @property
  def formats(self) -> Precision:
    """Return the formats of the training step."""
    return PRECISIONS[self.precision]

  def data(self) -> Dataset:
    """Return random images, enough for a round."""
    return noise.dataset(max(AGREEING_STEPS, self.steps) * self.batch_size, SIDE, CLASSES)

  def __str__(self) -> str:
    return (
      f'{self.teacher} -> {self.student}, q = {self.num_projectors}, f = {self.factor}, '
      f'batch {self.batch_size}, {self.precision}'
    )


@dataclasses.dataclass
class Start:
  """PyTorch's networks, from which both sides begin."""

  student: networks.Network
  projectors: simkd.Projectors
  teacher: networks.Network


def begin(setting: Setting) -> Start:
  """Make PyTorch's networks; equal settings give equal weights."""
  torch.manual_seed(0)
  student = networks.create(setting.student, CLASSES)
  teacher = networks.create(setting.teacher, CLASSES)
  with torch.no_grad():
    images = torch.randn(setting.batch_size, 3, SIDE, SIDE)
    for _ in range(10):  # The norms' statistics become those of the images.
      teacher(images)
    c_s, c_t = student.distillation_map(images).shape[1], teacher.features(images)[1].shape[1]
  projectors = (simkd.Projector(c_s, c_t, setting.factor) for _ in range(setting.num_projectors))
  return Start(student, simkd.Projectors(projectors), teacher.eval())


def convert(start: Start, setting: Setting, image_shape) -> tuple[Network, Network]:
  """Return (teacher, deployed network) of this package."""

  def arrays(module):
    return {key: value.cpu().numpy().copy() for key, value in module.state_dict().items()}

  teacher = torch_import.network(arrays(start.teacher), setting.teacher)
  distilled = [
    torch_import.distilled(
      torch_import.Checkpoint(arrays(start.student), arrays(projector)),
      setting.student,
      teacher,
      image_shape,
    )
    for projector in start.projectors
  ]
  variables = [network.variables for network in distilled]
  stacked = {
    name: {**tree, 'projectors': jax.tree.map(_joined, *(v[name]['projectors'] for v in variables))}
    for name, tree in variables[0].items()
  }
  return teacher, Network(stacked, distilled[0].model.clone(num_projectors=len(distilled)))


def _joined(*stacks):
  return jnp.concatenate(stacks)


def put(values, tree):
  """Return `tree` with copies of the values under the same paths."""
  values = traverse_util.flatten_dict(values)
  return traverse_util.unflatten_dict(
    {path: jnp.array(values[path]) for path in traverse_util.flatten_dict(tree)}
  )


def batches(setting: Setting, images: np.ndarray) -> np.ndarray:
  """Return the first AGREEING_STEPS batches of a split's images, uint8 [steps, B, H, W, C]."""
  count = AGREEING_STEPS * setting.batch_size
  return images[:count].reshape(AGREEING_STEPS, setting.batch_size, *images.shape[1:])
