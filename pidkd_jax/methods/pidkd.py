"""PIDKD, the paper's method: integrate q projectors, and classify with the teacher's classifier.

Loss: weight * mean (mean_i P_i(F_s) - F_t)^2 / mean F_t^2, with no labels.

Source: Zuo et al. 2024, doi:10.1007/s40747-024-01394-3, abstract. docs/explanation/paper.md lists
the choices that the abstract leaves open.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.core.errors import UserError, at_least_one, unknown_name
from pidkd_jax.core.types import Batch
from pidkd_jax.methods.base import Method, subtree
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network, TeacherOutputs
from pidkd_jax.nn import losses, projectors, resize
from pidkd_jax.nn.precision import to_float32


class PIDKD(Method):
  """The integrated output of q projectors imitates the teacher's target map.

  It uses no labels.

  Attributes:
    num_projectors: q; 3 unless a sweep says otherwise for the pair.
    factor: f, the target's channels over a projector's hidden width; 2 is SimKD's most accurate.
    integration: 'mean', or 'learned' convex weights.
    separate: whether each projector imitates the target by itself, in place of their mean.
    weight: of the squared error. SimKD has 1. A study of 10 epochs chose 30: of the weights within
      one standard error of the best, it is the smallest (configs/studies/scale.py).
    normalize: whether the error is in units of the target's mean square, so that a weight means
      the same for every teacher.
    warmup: the share of the training in which the weight rises linearly from 0; 0 for none.
    projector_rate: a factor on the projectors' learning rate.
  """

  num_projectors: int = 3
  factor: int = 2
  integration: str = 'mean'
  separate: bool = False
  weight: float = 30.0
  normalize: bool = True
  warmup: float = 0.0
  projector_rate: float = 1.0

  needs_labels = False

  def rates(self):
    return {'projectors': self.projector_rate}

  def size(self, inputs: int) -> tuple[int, int]:
    """Return the number and the hidden width of the projectors.

    Args:
      inputs: C_s, the channels of the student's map.
    """
    del inputs
    return self.num_projectors, self.target.target.shape[-1] // self.factor

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    stack, z, target = self.projection(batch, teacher)
    maps = stack.outputs(z, train=True)
    if not self.separate:
      maps = stack.integrate(maps)[None]
    return {'feature': self.feature(maps, target, progress)}

  @nn.nowrap
  def feature(self, maps: jax.Array, target: jax.Array, progress: jax.Array) -> jax.Array:
    """Return the weighted error [B] of maps [n, B, H, W, C_t], in the mean over the n."""
    error = jnp.mean(jax.vmap(losses.mean_squared_error, (0, None))(maps, target), axis=0)
    if self.normalize:
      error /= jnp.mean(jnp.square(to_float32(target)))
    return self.weight * losses.warm_up(progress, self.warmup) * error

  @nn.nowrap
  def projection(
    self, batch: Batch, teacher: TeacherOutputs
  ) -> tuple[projectors.ProjectorStack, jax.Array, jax.Array]:
    """Make the stack, with what it reads and what its integrated output imitates.

    A compact method calls it, once.

    Returns:
      The stack; the student's map [B, H, W, C_s]; the teacher's target map [B, H, W, C_t].

    Raises:
      UserError: a hyper-parameter has a value that the target map does not allow.
    """
    self._check()
    last = self.student.stages(batch.image, train=True)[-1]
    z, target = resize.match_resolution(
      self.student.distillation_map(last, train=True), teacher.features.target
    )
    num_projectors, hidden = self.size(z.shape[-1])
    stack = projectors.ProjectorStack(
      features=target.shape[-1],
      num_projectors=num_projectors,
      hidden=hidden,
      integration=self.integration,
      rectified=self.target.rectified,
      name='projectors',
    )
    return stack, z, target

  def _check(self) -> None:
    at_least_one(num_projectors=self.num_projectors)
    channels = self.target.target.shape[-1]
    if not 1 <= self.factor <= channels:
      raise UserError(
        f'factor is {self.factor}; the target map of {channels} channels allows 1 to {channels}'
      )
    if self.integration not in projectors.INTEGRATIONS:
      raise unknown_name('integration', self.integration, projectors.INTEGRATIONS)
    if self.separate and self.integration != 'mean':
      raise UserError(
        f'integration is {self.integration!r} and separate is True; a loss on each projector '
        "teaches no weights, so take integration='mean'"
      )

  @nn.nowrap
  def deployed(self, variables, teacher):
    assert teacher is not None  # As `needs_teacher` is True.
    stack = subtree(variables, 'projectors')
    num_projectors, *_, hidden = stack['params']['projectors']['reduce']['conv']['kernel'].shape
    _, height, width, channels = self.target.target.shape
    model = Distilled(
      num_classes=teacher.model.num_classes,
      student=self.student,
      teacher=teacher.model,
      num_projectors=num_projectors,
      hidden=hidden,
      integration=self.integration,
      target=(height, width, channels),
      target_rectified=self.target.rectified,
    )
    parts = {
      'student': subtree(variables, 'student'),
      'projectors': stack,
      'teacher': teacher.classifier(self.target.pooled),
    }
    collections = {name for part in parts.values() for name in part}
    return Network(
      {
        name: {module: part[name] for module, part in parts.items() if name in part}
        for name in sorted(collections)
      },
      model,
    )


# SimKD's scale of the loss, for 240 epochs (arXiv:2203.14001). The paper's abstract gives none.
PUBLISHED = {'weight': 1.0, 'normalize': False, 'warmup': 0.0, 'projector_rate': 1.0}

METHODS = {'pidkd': PIDKD, 'pidkd_published': functools.partial(PIDKD, **PUBLISHED)}
