"""VkD: an orthogonal projector onto the teacher's normalised feature.

Loss: weight * mean huber(W f_s - norm(f_t)), where f are pooled features, `norm` takes each
feature to mean 0 and variance 1 over its channels, and W has orthonormal columns or rows; beside
it, `Harness` has CE, and KD at temperature 1.

Source: Miles, Elezi and Deng 2024, "VkD: improving knowledge distillation using orthogonal
projections", arXiv:2403.06213, and the authors' code for transformers on ImageNet. They published
none for CIFAR-100.

Departures: the authors' student has a second classifier, which alone learns from the teacher's
logits. Here one classifier learns from labels and teacher, as in all methods. Where C_s and C_t
differ, PyTorch's parameter has a diagonal of -1, which weight decay rounds to 0, and the projector
with it. Here it has no diagonal.
"""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from pidkd_jax.methods.harness import Harness


class VkD(Harness):
  """An orthogonal projection of the feature imitates the teacher's, which is normalised.

  The defaults are those of the authors' script.

  Attributes:
    weight: of the Huber loss; the paper's alpha.
    temperature: of the divergence.
  """

  weight: float = 1.0
  temperature: float = 1.0

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del batch, progress
    target = jax.nn.standardize(teacher.features.pooled)
    projected = Orthogonal(target.shape[-1], name='projector')(features.pooled)
    error = jnp.mean(optax.losses.huber_loss(projected, target), axis=-1)
    return {'feature': self.weight * error}


class Orthogonal(nn.Module):
  """Apply a linear map that stays orthogonal whatever a gradient step does to its parameters.

  The map is B Q, or its transpose. B is a random orthogonal matrix that does not change. Q depends
  on the strictly lower triangle of the parameter `generator` [n, k], with n >= k the two numbers of
  channels, and begins as the identity. It is the product of k Householder reflections, or, where
  n = k, the exponential of a skew-symmetric matrix. So does PyTorch's `orthogonal`, by which the
  authors make the map.

  Attributes:
    features: C_t, the number of outputs.
  """

  features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, C_s] -> [B, C_t]."""
    channels = x.shape[-1]
    n, k = max(channels, self.features), min(channels, self.features)
    base = self.variable(
      'base', 'matrix', lambda: nn.initializers.orthogonal()(self.make_rng('params'), (n, n))
    ).value
    generator = self.param('generator', nn.initializers.zeros, (n, k))
    q = exponential(generator) if n == k else reflections(generator)
    return (x @ q.T) @ base.T if self.features >= channels else (x @ base) @ q


def exponential(generator: jax.Array) -> jax.Array:
  """Return the exponential of the skew-symmetric matrix with this lower triangle, [n, n]."""
  lower = jnp.tril(generator, -1)
  return jax.scipy.linalg.expm(lower - lower.T)


def reflections(generator: jax.Array) -> jax.Array:
  """Return the first k columns of the product of k Householder reflections, times -1.

  Args:
    generator: [n, k]. Column i below its diagonal, with a one on it, is normal to the mirror i.

  Returns:
    [n, k] with orthonormal columns, the identity's where the generator is zero.

  Source: the compact WY form, Schreiber and Van Loan 1989, doi:10.1137/0910005.
  """
  n, k = generator.shape
  normals = jnp.tril(generator, -1) + jnp.eye(n, k)
  products = normals.T @ normals
  inverse = jnp.triu(products, 1) + jnp.diag(jnp.diag(products) / 2)
  solved = jax.scipy.linalg.solve_triangular(inverse, normals[:k].T)
  return normals @ solved - jnp.eye(n, k)


METHODS = {'vkd': VkD}
