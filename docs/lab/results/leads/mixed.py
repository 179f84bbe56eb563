"""PIDKD with projectors that differ by more than their start, and with a second target.

They were tried in one study. docs/lab/results.md (Other ways to integrate) has the command and the
figures.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from pidkd_jax.core.types import Features
from pidkd_jax.methods.base import Method, subtree
from pidkd_jax.models.base import Model, pool
from pidkd_jax.models.network import Network
from pidkd_jax.nn import losses, resize
from pidkd_jax.nn.initializers import pytorch_default
from pidkd_jax.nn.layers import ConvNorm
from pidkd_jax.nn.precision import to_float32


class DilatedProjector(nn.Module):
  """SimKD's projector, whose 3x3 kernel reads every d-th pixel; d = 1 is SimKD's."""

  features: int
  hidden: int
  dilation: int
  rectified: bool

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    def spread(x, kernel, strides, padding, **settings):
      settings |= {'rhs_dilation': (self.dilation,) * 2}
      return lax.conv_general_dilated(x, kernel, strides, padding, **settings)

    layer = functools.partial(ConvNorm, kernel_init=pytorch_default)
    x = nn.relu(layer(self.hidden, 1, name='reduce')(x, train))
    transform = layer(self.hidden, 3, padding=self.dilation, convolution=spread, name='transform')
    x = layer(self.features, 1, name='expand')(nn.relu(transform(x, train)), train)
    return nn.relu(x) if self.rectified else x


class MixedStack(nn.Module):
  """The mean of projectors that read different stages, with different receptive fields.

  Attributes:
    target: (H_t, W_t, C_t).
    hidden: m.
    stages: of each projector, counted from the last one, which is 1.
    dilations: of each projector.
    rectified: whether the target map is behind a ReLU.
  """

  target: tuple[int, ...]
  hidden: int
  stages: tuple[int, ...]
  dilations: tuple[int, ...]
  rectified: bool

  @nn.compact
  def __call__(self, maps, train: bool) -> jax.Array:
    """The student's maps, each [B, H_i, W_i, C_i] -> float32 [B, H_t, W_t, C_t]."""
    outputs = [
      DilatedProjector(self.target[-1], self.hidden, dilation, self.rectified)(
        resize.average_to(maps[-stage], self.target[:2]), train
      )
      for stage, dilation in zip(self.stages, self.dilations, strict=True)
    ]
    return jnp.mean(to_float32(jnp.stack(outputs)), axis=0)


class MixedDistilled(Model):
  """A student, a `MixedStack` and the teacher's classifier."""

  student: Model
  teacher: Model
  target: tuple[int, ...]
  hidden: int
  stages_read: tuple[int, ...]
  dilations: tuple[int, ...]

  aligned = True

  def setup(self):
    self.projectors = MixedStack(
      self.target, self.hidden, self.stages_read, self.dilations, self.rectified
    )

  def trunk(self, image, train):
    return self.student.trunk(image, train)

  def encode(self, image, train=False):
    maps, preactivations = self.trunk(image, train)
    target = self.projectors(maps, train)
    return Features(maps, preactivations, target, pool(target), self.rectified)

  def classify(self, pooled):
    return self.teacher.classify(pooled)


# {kind: stages and dilations of its projectors}.
KINDS = {
  'same': ((1, 1, 1), (1, 1, 1)),
  'dilated': ((1, 1, 1), (1, 2, 3)),  # Their 3x3 kernels read 3, 5 and 7 pixels across.
  'stages': ((1, 1, 2), (1, 1, 1)),  # The third projector reads the last stage but one.
  'one': ((1,), (1,)),
}


class Mixed(Method):
  """PIDKD's loss on the mean of a `MixedStack`, and one on an earlier map.

  Attributes:
    kind: of the stack, a name in `KINDS`.
    hidden: m; 0 for half of the target's channels.
    depth: weight of the second target: a projector that is not deployed maps the student's last
      stage but one onto the teacher's.
    weight: as PIDKD's.
  """

  kind: str = 'same'
  hidden: int = 0
  depth: float = 0.0
  weight: float = 30.0

  needs_labels = False

  @nn.nowrap
  def settings(self):
    """Return hidden width, stages and dilations."""
    return self.hidden or self.target.target.shape[-1] // 2, *KINDS[self.kind]

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    del progress
    maps, features = self.student.stages(batch.image, train=True), teacher.features
    hidden, stages, dilations = self.settings()
    stack = MixedStack(
      features.target.shape[1:], hidden, stages, dilations, features.rectified, name='projectors'
    )
    earlier = features.stages[-2]
    second = DilatedProjector(earlier.shape[-1], earlier.shape[-1] // 2, 1, True, name='second')
    return {
      'feature': self.weight * _error(stack(maps, True), features.target),
      'depth': self.depth * _error(second(maps[-2], True), earlier),
    }

  @nn.nowrap
  def deployed(self, variables, teacher):
    hidden, stages, dilations = self.settings()
    target = tuple(self.target.target.shape[1:])
    model = MixedDistilled(
      teacher.model.num_classes, self.student, teacher.model, target, hidden, stages, dilations
    )
    parts = {
      'student': subtree(variables, 'student'),
      'projectors': subtree(variables, 'projectors'),
      'teacher': teacher.classifier(self.target.pooled),
    }
    kinds = sorted({kind for part in parts.values() for kind in part})
    return Network(
      {kind: {name: part[kind] for name, part in parts.items() if kind in part} for kind in kinds},
      model,
    )


def _error(ours: jax.Array, theirs: jax.Array) -> jax.Array:
  theirs = to_float32(theirs)
  return losses.mean_squared_error(ours, theirs) / jnp.mean(jnp.square(theirs))
