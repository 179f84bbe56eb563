"""Initial weights, each drawn in one row.

They are those of `jax.nn.initializers`, to the bit. But XLA takes a second on CPU to compile a draw
of four dimensions, and a fifth of that for the same numbers in a row.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer


def normal(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
  """N(0, 1)."""
  return jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)


def uniform(bound: float) -> Initializer:
  """U(-bound, bound)."""

  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, (math.prod(shape),), dtype, -bound, bound).reshape(shape)

  return init


def he_normal_fan_out(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
  """N(0, 2 / fan_out) for a kernel [..., C, M].

  Source: He et al. 2015, arXiv:1502.01852, in the fan-out form that the CIFAR recipes use.
  """
  fan_out = math.prod(shape) // shape[-2]
  return normal(key, shape, dtype) * jnp.sqrt(jnp.array(2 / fan_out, dtype))


def uniform_fan_in(scale: float) -> Initializer:
  """Uniform with variance scale / fan_in, for a kernel [..., C, M]."""

  def init(key, shape, dtype=jnp.float32):
    fan_in = math.prod(shape) // shape[-1]
    return uniform(1)(key, shape, dtype) * jnp.sqrt(3 * jnp.array(scale / fan_in, dtype))

  return init


# U(-1/sqrt(fan_in), 1/sqrt(fan_in)): what PyTorch gives a convolution if nobody says otherwise.
pytorch_default = uniform_fan_in(1 / 3)
