"""Variational information distillation: the teacher's maps are Gaussians around a prediction.

Loss: weight * sum_i mean ((F_t,i - m(F_s,i))^2 / v + log v) / 2 over the pairs i of stages, with a
trained variance v for each channel; beside it, `Harness` has CE and KD.

Source: Ahn et al. 2019, arXiv:1904.05835.

Departure: the paper sums over the map. SimKD, RepDistiller and mdistiller average, as does this
file.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.methods.harness import Harness, paired
from pidkd_jax.nn.initializers import pytorch_default
from pidkd_jax.nn.layers import conv
from pidkd_jax.nn.resize import match_resolution

# The variance is the softplus of the scale plus this, as in SimKD, RepDistiller and mdistiller.
_LEAST_VARIANCE = 1e-5


class VID(Harness):
  """Negative log-likelihood of the teacher's maps given the student's.

  The defaults are those of SimKD, RepDistiller and mdistiller.

  Attributes:
    weight: of the sum over the pairs of stages.
    initial_variance: of every channel. Training changes it, as in SimKD and RepDistiller; in
      mdistiller it stays, as the optimizer is not given it.
  """

  weight: float = 1.0
  initial_variance: float = 5.0

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del batch, progress
    total = 0.0
    for stage, pair in enumerate(paired(features, teacher.features), start=1):
      student, target = match_resolution(*pair)
      predict = Gaussian(target.shape[-1], self.initial_variance, name=f'stage{stage}')
      mean, variance = predict(student)
      cost = (jnp.square(mean - target) / variance + jnp.log(variance)) / 2
      total += jnp.mean(cost, axis=(1, 2, 3))
    return {'likelihood': self.weight * total}


class Gaussian(nn.Module):
  """Predict a mean by three 1x1 convolutions with ReLU between them, and a variance by channel.

  Attributes:
    features: C_t, the channels of the predicted map.
    initial_variance: of every channel.
  """

  features: int
  initial_variance: float

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[B, H, W, C_s] -> mean [B, H, W, C_t], variance [C_t]."""
    layer = functools.partial(conv, self.features, 1, kernel_init=pytorch_default)
    x = nn.relu(layer(name='conv1')(x))
    x = nn.relu(layer(name='conv2')(x))
    x = layer(name='conv3')(x)
    scale = self.param('scale', self._initial_scale)
    return x, nn.softplus(scale) + _LEAST_VARIANCE

  def _initial_scale(self, key: jax.Array) -> jax.Array:
    del key
    softened = self.initial_variance - _LEAST_VARIANCE
    scale = softened + jnp.log(-jnp.expm1(-softened))  # log(exp(x) - 1), which may overflow.
    return jnp.full(self.features, scale, jnp.float32)


METHODS = {'vid': VID}
