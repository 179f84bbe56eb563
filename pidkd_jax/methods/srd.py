"""SRD: a linear projector, normalised features, and the logarithm of a sharp distance.

Loss: weight * log of the sum of (norm(W f_s) - norm(f_t))^4 over batch and channels, where f are
pooled features and `norm` takes each channel to mean 0 and variance 1 in the batch; beside it,
`Harness` has CE, and KD at temperature 1.

Source: Miles and Mikolajczyk 2024, "Understanding the role of the projector in knowledge
distillation", arXiv:2303.11098, and the authors' code for ResNets on ImageNet. They published none
for CIFAR-100. Their code for transformers compares correlations instead.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn.batch_norm import normalize_batch
from pidkd_jax.nn.initializers import pytorch_default

_EPSILON = 1e-4


class SRD(Harness):
  """Projected and normalised features under a soft maximum of their distance.

  The projector has no bias, as the norm behind it takes any shift away. The defaults are those of
  the authors' script for ResNet-34 -> ResNet-18.

  Attributes:
    weight: of the logarithm.
    temperature: of the divergence.
  """

  weight: float = 2.0
  temperature: float = 1.0

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del batch, progress
    target = teacher.features.pooled
    project = nn.Dense(
      target.shape[-1], use_bias=False, kernel_init=pytorch_default, name='projector'
    )
    difference = normalized(project(features.pooled)) - normalized(target)
    # The addend is nothing beside a distance, and keeps features that are equal from infinity.
    distance = jnp.log(jnp.sum(difference**4) + 1e-12)
    return {'feature': self.weight * distance}


def normalized(x: jax.Array) -> jax.Array:
  """Take each channel to mean 0 and variance 1 in the batch, [B, C] -> [B, C]."""
  ones = jnp.ones(x.shape[-1:], x.dtype)
  return normalize_batch(x, ones, jnp.zeros_like(ones), _EPSILON, shares=None)[0]


METHODS = {'srd': SRD}
