"""Cross-layer distillation: attention chooses which teacher's stage each student's stage learns.

Source: Chen et al. 2021, arXiv:2012.03236, and authors' code.
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
  """Squared errors between all pairs of stages, weighed for each image by an attention.

  Queries and keys come from the similarities of the batch's images, so their parameters depend on
  the batch's size.

  Attributes:
    weight: of the mean over the student's stages; 400 in SimKD and authors' scripts.
    attention_temperature: divides what the attention is a softmax of; 1 likewise.
  """

  weight: float = 400.0
  attention_temperature: float = 1.0

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del batch, progress
    ours, theirs = features.maps, teacher.features.maps
    errors = [
      [self.error(s, t, f'regressor_{i}_{j}') for j, t in enumerate(theirs, start=1)]
      for i, s in enumerate(ours, start=1)
    ]
    errors = jnp.stack([jnp.stack(row, axis=-1) for row in errors], axis=1)
    if len(theirs) > 1:  # Otherwise there is nothing to choose, and the attention would not learn.
      queries = [Embedding(name=f'query_{i}')(x) for i, x in enumerate(ours, start=1)]
      keys = [Embedding(name=f'key_{j}')(x) for j, x in enumerate(theirs, start=1)]
      energy = jnp.einsum('sbd,tbd->bst', jnp.stack(queries), jnp.stack(keys))
      errors *= nn.softmax(energy / self.attention_temperature)
    return {'feature': self.weight * jnp.mean(jnp.sum(errors, axis=-1), axis=-1)}

  def error(self, student: jax.Array, target: jax.Array, name: str) -> jax.Array:
    """Of a regression from a student's map to a teacher's, [B]."""
    student, target = match_resolution(student, target)
    regressed = Regressor(target.shape[-1], name=name)(student)
    return losses.mean_squared_error(regressed, target)


class Regressor(nn.Module):
  """1x1, 3x3 and 1x1 convolution; twice the target's channels, norm and ReLU between them."""

  features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    hidden = 2 * self.features
    x = nn.relu(ConvNorm(hidden, 1, kernel_init=pytorch_default, name='reduce')(x, train=True))
    x = nn.relu(ConvNorm(hidden, 3, kernel_init=pytorch_default, name='transform')(x, train=True))
    return conv(self.features, 1, kernel_init=pytorch_default, name='expand')(x)


class Embedding(nn.Module):
  """Each image's similarities to the batch by a two-layer network: [B, H, W, C] -> [B, D].

  D is a quarter of the batch, as authors' code has it, but at least 2: one number of length 1
  has no gradient.
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    flat = x.reshape(len(x), -1)
    dimension = max(len(x) // 4, 2)
    hidden = nn.relu(linear(2 * dimension, len(x), name='hidden')(flat @ flat.T))
    return l2_normalize(linear(dimension, 2 * dimension, name='out')(hidden))


METHODS = {'semckd': SemCKD}
