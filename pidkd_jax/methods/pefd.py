"""PEFD: feature distillation with an ensemble of projectors that is dropped after training.

The ensemble is on the pooled feature, and the student keeps its own classifier.

Loss: weight * (1 - cos(mean_i relu(P_i f_s), f_t)); beside it, `Harness` has CE.

Source: Chen et al. 2022, arXiv:2210.15274.
"""

import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.core.errors import at_least_one
from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn.layers import l2_normalize, linear


class PEFD(Harness):
  """PEFD, with q linear projectors, each followed by a ReLU.

  The defaults are those of the paper and the authors' script.

  Attributes:
    weight: of 1 - cosine.
    num_projectors: q.
    divergence_weight: of the KL divergence.
  """

  weight: float = 25.0
  num_projectors: int = 3
  divergence_weight: float = 0.0

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del batch, progress
    at_least_one(num_projectors=self.num_projectors)
    target = teacher.features.pooled
    stack = nn.vmap(
      nn.Dense,
      in_axes=None,  # pyright: ignore[reportArgumentType]  Flax annotates it as int.
      variable_axes={'params': 0},
      split_rngs={'params': True},
      axis_size=self.num_projectors,
    )
    project = linear(target.shape[-1], features.pooled.shape[-1], dense=stack, name='projectors')
    projected = jnp.mean(nn.relu(project(features.pooled)), axis=0)
    cosine = jnp.sum(l2_normalize(projected) * l2_normalize(target), axis=-1)
    return {'direction': self.weight * (1 - cosine)}


METHODS = {'pefd': PEFD}
