"""Cross-layer distillation: attention chooses which of the teacher's stages each stage learns.

Loss: weight * mean_i sum_j a_ij mean (R_ij(F_s,i) - F_t,j)^2, where the attention a is a softmax
over j; beside it, `Harness` has CE and KD.

Source: Chen et al. 2021, arXiv:2012.03236, and the authors' code.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn import losses
from pidkd_jax.nn.initializers import pytorch_default
from pidkd_jax.nn.layers import ConvNorm, conv, l2_normalize, linear
from pidkd_jax.nn.resize import match_resolution


class SemCKD(Harness):
  """Squared errors between all pairs of stages, weighted for each image by an attention.

  Queries and keys come from the similarities of the batch's images, so their parameters depend on
  the batch's size, or on that of its parts where gradients accumulate. The defaults are those of
  SimKD and the authors' scripts.

  Attributes:
    weight: of the mean over the student's stages.
    attention_temperature: divides the attention's logits.
  """

  weight: float = 400.0
  attention_temperature: float = 1.0

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del batch, progress
    maps, targets = features.maps, teacher.features.maps
    errors = [
      [self.error(s, t, f'regressor_{i}_{j}') for j, t in enumerate(targets, start=1)]
      for i, s in enumerate(maps, start=1)
    ]
    errors = jnp.stack([jnp.stack(row, axis=-1) for row in errors], axis=1)
    if len(targets) > 1:  # A single target leaves no choice, and the attention would not learn.
      queries = [Embedding(name=f'query_{i}')(x) for i, x in enumerate(maps, start=1)]
      keys = [Embedding(name=f'key_{j}')(x) for j, x in enumerate(targets, start=1)]
      energy = jnp.einsum('sbd,tbd->bst', jnp.stack(queries), jnp.stack(keys))
      errors *= nn.softmax(energy / self.attention_temperature)
    return {'feature': self.weight * jnp.mean(jnp.sum(errors, axis=-1), axis=-1)}

  def error(self, student: jax.Array, target: jax.Array, name: str) -> jax.Array:
    """Return the squared error [B] of a regression from a student's map to a teacher's."""
    student, target = match_resolution(student, target)
    regressed = Regressor(target.shape[-1], name=name)(student)
    return losses.mean_squared_error(regressed, target)


class Regressor(nn.Module):
  """1x1, 3x3 and 1x1 convolution, with norm and ReLU between them.

  Attributes:
    features: C_t, the channels of the target map; there are twice as many between convolutions.
  """

  features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C_s] -> [B, H, W, C_t]."""
    hidden = 2 * self.features
    x = nn.relu(ConvNorm(hidden, 1, kernel_init=pytorch_default, name='reduce')(x, train=True))
    x = nn.relu(ConvNorm(hidden, 3, kernel_init=pytorch_default, name='transform')(x, train=True))
    return conv(self.features, 1, kernel_init=pytorch_default, name='expand')(x)


class Embedding(nn.Module):
  """Embed each image's similarities to the batch by a two-layer network.

  D is a quarter of the batch, as in the authors' code, but at least 2: a single number, scaled to
  length 1, has no gradient.
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, D], each of length 1."""
    flat = x.reshape(len(x), -1)
    dimension = max(len(x) // 4, 2)
    hidden = nn.relu(linear(2 * dimension, len(x), name='hidden')(flat @ flat.T))
    return l2_normalize(linear(dimension, 2 * dimension, name='out')(hidden))


METHODS = {'semckd': SemCKD}
