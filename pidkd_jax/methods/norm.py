"""NORM: N groups of linear features of the student each imitate the teacher's map.

The student's last map x is widened, E = BN(W x), to N times the teacher's channels, and comes back
as x + BN(V E). The classifier reads the mean of that. Nothing here is bent, so W, V and both norms
are folded into the student's classifier afterwards.

Loss: label_weight * CE + divergence_weight * KD + weight * u * sum over n of mean (E_n - F_t)^2,
where u is 0.1, 0.5, 1, 0.5 and 0.1 as the training proceeds (`share`). CE and KD see logits of
mean 0 and standard deviation `scale` over the classes, of which there must be three or more.

Source: Liu et al. 2023, "NORM: knowledge distillation via N-to-one representation matching", ICLR,
and the authors' code for CIFAR-100.

Departures: of pre-activation networks (WRN), the map behind the last norm and ReLU is widened, not
the raw sum before them, which could not be folded. Their weight u changes by epochs of 240; here
it does so by shares of the training. The deployed logits are not normalised, as in their
evaluation, so accuracy is meaningful and calibration is not.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

from pidkd_jax.core.errors import at_least_one
from pidkd_jax.methods.base import Method, subtree
from pidkd_jax.methods.linear import student_classifier
from pidkd_jax.models.base import pool
from pidkd_jax.models.network import Network
from pidkd_jax.nn import batch_norm, losses
from pidkd_jax.nn.layers import ConvNorm
from pidkd_jax.nn.precision import to_float32
from pidkd_jax.nn.resize import match_resolution

# Where u changes, in shares of the training, and its values.
_CHANGES = (10 / 240, 20 / 240, 180 / 240, 210 / 240)
_VALUES = (0.1, 0.5, 1.0, 0.5, 0.1)


class NORM(Method):
  """A widened map imitates N copies of the teacher's, and is folded away afterwards.

  The defaults are those of the authors' example, resnet32x4 -> resnet8x4.

  Attributes:
    weight: of the squared error, which is a sum over the N groups; the paper's alpha.
    num_groups: N; 8 in the authors' scripts for CIFAR-100.
    label_weight: of the cross-entropy. The authors' scripts try 0.0625 to 0.5.
    divergence_weight: of the KL divergence; the paper's beta, 0 without KD.
    temperature: of the divergence.
    scale: the standard deviation of the logits that labels and teacher see.
  """

  weight: float = 1.0
  num_groups: int = 8
  label_weight: float = 0.1
  divergence_weight: float = 0.0
  temperature: float = 4.0
  scale: float = 2.5

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    at_least_one(num_groups=self.num_groups)
    losses.check_standardized(teacher.logits)
    x = self.student.encode(batch.image, train=True).target
    # This raises, before the training, where `deployed` could not fold.
    student_classifier(self.student, x.shape[-1])
    target = teacher.features.target
    channels = target.shape[-1]
    wide = ConvNorm(self.num_groups * channels, 1, name='expand')(x, train=True)
    x = x + ConvNorm(x.shape[-1], 1, name='reduce')(wide, train=True)
    logits = self.student.classify(pool(x))
    groups, target = match_resolution(*map(to_float32, (wide, max_pool_to(target, x.shape[1:3]))))
    groups = jnp.moveaxis(groups.reshape(*groups.shape[:3], -1, channels), 3, 0)
    error = jnp.sum(jax.vmap(losses.mean_squared_error, (0, None))(groups, target), axis=0)
    logits, taught = (
      self.scale * jax.nn.standardize(each, epsilon=1e-7) for each in (logits, teacher.logits)
    )
    return {
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.target),
      'soft_target': self.divergence_weight * losses.soft_targets(logits, taught, self.temperature),
      'feature': self.weight * share(progress) * error,
    }

  @nn.nowrap
  def deployed(self, variables, teacher):
    del teacher
    product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    (expand, first), (reduce, second) = (
      affine(subtree(variables, name)) for name in ('expand', 'reduce')
    )
    shift = product(first, reduce) + second
    student: dict[tuple[str, ...], Any] = traverse_util.flatten_dict(subtree(variables, 'student'))
    places = student_classifier(self.student, len(expand))
    kernel, bias = (student['params', *places[leaf]] for leaf in ('kernel', 'bias'))
    fused = kernel + product(expand, product(reduce, kernel)), bias + product(shift, kernel)
    for leaf, value in zip(('kernel', 'bias'), fused, strict=True):
      student['params', *places[leaf]] = value
    return Network(traverse_util.unflatten_dict(student), self.student)


def share(progress: jax.Array) -> jax.Array:
  """Return u, the share of the weight that counts at this share of the training, in (0, 1]."""
  return jnp.array(_VALUES)[jnp.searchsorted(jnp.array(_CHANGES), progress)]


def max_pool_to(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
  """Take the largest value of each cell where a map's side is two or more times that of `size`.

  Args:
    x: [B, H, W, C].
    size: (height, width).
  """
  times = tuple(max(1, side // wanted) for side, wanted in zip(x.shape[1:3], size, strict=True))
  return nn.max_pool(x, times, times)


def affine(variables) -> tuple[jax.Array, jax.Array]:
  """Return the matrix [C, M] and the shift [M] of a 1x1 `ConvNorm` in inference."""
  params, running = variables['params'], variables['batch_stats']['norm']
  factor = params['norm']['scale'] * jax.lax.rsqrt(running['var'] + batch_norm.EPSILON)
  matrix = params['conv']['kernel'][0, 0] * factor
  return matrix, params['norm']['bias'] - running['mean'] * factor


METHODS = {'norm': NORM}
