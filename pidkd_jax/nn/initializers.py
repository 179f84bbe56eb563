"""Initial weights, those of `jax.nn.initializers` to the last bits, and faster to compile.

XLA on CPU takes a second to compile a draw of four dimensions, and a fifth of that for the same
numbers in one dimension. So each draw has one dimension, and is reshaped.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

# (key, shape, dtype) -> weights.
Initializer = Callable[..., jax.Array]


def normal(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
  """Draw from N(0, 1)."""
  return jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)


def normal_of(deviation: float) -> Initializer:
  """Return an initialiser that draws from N(0, deviation^2)."""

  def init(key, shape, dtype=jnp.float32):
    return normal(key, shape, dtype) * jnp.array(deviation, dtype)

  return init


def uniform(bound: float) -> Initializer:
  """Return an initialiser that draws from U(-bound, bound)."""

  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, (math.prod(shape),), dtype, -bound, bound).reshape(shape)

  return init


def he_normal_fan_out(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
  """Draw a kernel [..., C, M] from N(0, 2 / fan_out).

  Source: He et al. 2015, arXiv:1502.01852, in the fan-out form that the CIFAR recipes use.

  Example:
    >>> he_normal_fan_out(jax.random.key(0), (3, 3, 64, 128)).shape
    (3, 3, 64, 128)
  """
  fan_out = math.prod(shape) // shape[-2]
  return normal(key, shape, dtype) * jnp.sqrt(jnp.array(2 / fan_out, dtype))


def normal_of_groups(groups: int) -> Initializer:
  """Return an initialiser of grouped kernels [..., C // groups, M]: N(0, 2 * groups / fan_out).

  `he_normal_fan_out` counts the outputs of all groups; this counts those of one, as the authors of
  EfficientNet do.
  """

  def init(key, shape, dtype=jnp.float32):
    return he_normal_fan_out(key, shape, dtype) * jnp.sqrt(jnp.array(groups, dtype))

  return init


def uniform_fan_in(scale: float) -> Initializer:
  """Return an initialiser of kernels [..., C, M]: uniform, with variance scale / fan_in."""

  def init(key, shape, dtype=jnp.float32):
    fan_in = math.prod(shape) // shape[-1]
    return uniform(1)(key, shape, dtype) * jnp.sqrt(3 * jnp.array(scale / fan_in, dtype))

  return init


# U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for convolutions.
pytorch_default = uniform_fan_in(1 / 3)


def pytorch_default_bias(fan_in: int) -> Initializer:
  """Return PyTorch's initialiser of a bias whose layer sums `fan_in` products.

  It draws from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as `pytorch_default` does for the kernel.
  """
  return uniform(fan_in**-0.5)
