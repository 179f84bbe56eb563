"""Batch normalisation, with a gradient of its own and sums that suit the platform."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from pidkd_jax.nn.lazy_param import LazyParam

# PyTorch's epsilon of BatchNorm.
EPSILON = 1e-5
# XLA's GPU compiler gives a sum over up to 4096 rows to one block of threads for each 32 columns.
# Few blocks then do all the work. Up to this many rows that costs little.
_ONE_STAGE = 1024
# The rows of a group in the first of two stages.
_GROUP = 64


class BatchNorm(LazyParam, nn.Module):
  """Normalise a batch with the published momentum (PyTorch's 0.1) and epsilon.

  The layer computes in float32, or float64 where its input has that, and returns the type of its
  input. It equals `flax.linen.BatchNorm`, whose variables it has: params/scale and bias,
  batch_stats/mean and var, each [C]. The running variance is the biased one.

  Attributes:
    momentum: the share of a running statistic that an update keeps.
    epsilon: what is added to the variance.

  Example:
    >>> norm, x = BatchNorm(), jnp.ones((8, 4, 4, 64))
    >>> variables = norm.init(jax.random.key(0), x, train=False)
    >>> y, updates = norm.apply(variables, x, train=True, mutable=['batch_stats'])
    >>> sorted(updates['batch_stats'])
    ['mean', 'var']
  """

  momentum: float = 0.9
  epsilon: float = EPSILON

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[..., C] -> [..., C], by the batch's statistics if `train`, else by the running ones."""
    channels = x.shape[-1:]
    running = (
      self.variable('batch_stats', 'mean', jnp.zeros, channels),
      self.variable('batch_stats', 'var', jnp.ones, channels),
    )
    scale = self.param('scale', nn.initializers.ones, channels)
    bias = self.param('bias', nn.initializers.zeros, channels)
    if not train:
      return _normalize(x, *(variable.value for variable in running), scale, bias, self.epsilon)
    shares = _shares(x.shape[0]) if jax.default_backend() == 'gpu' else None
    y, *statistics = normalize_batch(x, scale, bias, self.epsilon, shares)
    if not self.is_initializing():
      for variable, new in zip(running, statistics, strict=True):
        variable.value = self.momentum * variable.value + (1 - self.momentum) * new
    return y


# Jitted, so that all layers of one shape share one trace and one function of the program.
@functools.partial(jax.jit, static_argnames=('epsilon', 'shares'))
def normalize_batch(
  x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float, shares: int | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Normalise a batch by its own mean and variance over all axes but the last.

  Forward and reverse mode, higher derivatives and `jax.vmap` apply.

  Args:
    x: [..., C].
    scale: [C].
    bias: [C].
    epsilon: what is added to the variance.
    shares: None to sum in one stage. Otherwise sums over many rows run in two, which pays on GPUs,
      and the first of them stays within each of so many equal shares of the first axis, one on a
      device. It alters results only by rounding.

  Returns:
    (y [..., C] in the type of x, mean [C], biased variance [C]).

  Source: Ioffe and Szegedy 2015, arXiv:1502.03167, Sec. 3, for values and gradient.

  Example:
    >>> y, mean, variance = normalize_batch(
    ...   jnp.array([[1.0], [3.0]]), jnp.ones(1), jnp.zeros(1), epsilon=0.0, shares=None)
    >>> y.ravel().tolist(), mean.item(), variance.item()
    ([-1.0, 1.0], 2.0, 1.0)
  """
  return _normalize_batch(x, scale, bias, epsilon, shares)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def _normalize_batch(x, scale, bias, epsilon: float, shares: int | None):
  wide, rows = _widened(x), _rows(x.shape)
  total, squares = _sums(wide, jnp.square(wide), shares)
  mean = total / rows
  # Rounding can make the difference negative.
  variance = jnp.maximum(0.0, squares / rows - jnp.square(mean))
  return _normalize(x, mean, variance, scale, bias, epsilon), mean, variance


@_normalize_batch.defjvp
def _derivative(epsilon, shares, primals, tangents):
  """Write the derivative so that its transpose has two sums over rows: of dy and of dy * unit.

  JAX's own transpose of the formula has three, and one of them waits for another.
  """
  (x, scale, bias), (dx, dscale, dbias) = primals, tangents
  y, mean, variance = _normalize_batch(x, scale, bias, epsilon, shares)
  inverse = lax.rsqrt(variance + epsilon)
  unit, dx = (_widened(x) - mean) * inverse, _widened(dx)
  factor = scale * inverse
  axes = tuple(range(x.ndim - 1))
  dmean = jnp.mean(dx, axes)
  # Half of the relative change of the variance; a variance that rounding took to zero stays there.
  along = jnp.where(variance > 0, jnp.mean(dx * unit, axes), 0.0)
  shift, stretch = _spread(dbias - factor * dmean, dscale - factor * along, x.shape, shares)
  dy = factor * dx + shift + unit * stretch
  return (y, mean, variance), (dy.astype(y.dtype), dmean, 2 * along / inverse)


@functools.partial(jax.jit, static_argnames='epsilon')
def _normalize(x, mean, variance, scale, bias, epsilon: float) -> jax.Array:
  """Compute (x - mean) * (scale / sqrt(variance + epsilon)) + bias, in the type of x."""
  factor = lax.rsqrt(variance + epsilon) * scale
  return ((x - mean) * factor + bias).astype(x.dtype)


def _sums(first: jax.Array, second: jax.Array, shares: int | None) -> tuple[jax.Array, jax.Array]:
  """Sum two arrays [..., C] over all axes but the last."""
  spread = functools.partial(_spread, shape=first.shape, shares=shares)
  channels = jax.ShapeDtypeStruct(first.shape[-1:], first.dtype)
  return jax.linear_transpose(spread, channels, channels)((first, second))


def _spread(
  first: jax.Array, second: jax.Array, shape: Sequence[int], shares: int | None
) -> tuple[jax.Array, jax.Array]:
  """Broadcast two vectors [C] to a shape [..., C].

  What counts is the transpose, a pair of sums. It sums many rows of a share in two stages: the rows
  of each group, then the groups. Without the barrier XLA would join the stages. Stacked, the two
  sums of the second stage are one kernel; XLA joins those of the first by itself. A group lies
  within one share, or devices would have to gather each other's rows.
  """
  channels = shape[-1]
  rows = _rows(shape) // (shares or 1)
  if shares is None or rows <= _ONE_STAGE:
    return jnp.broadcast_to(first, shape), jnp.broadcast_to(second, shape)
  size = max(_GROUP, -(-rows // _ONE_STAGE))
  groups = -(-rows // size)
  both = jnp.stack([first, second])[:, None, None]
  pair = jnp.broadcast_to(both, (2, shares, groups, channels))

  def widen(group: jax.Array) -> jax.Array:
    full = jnp.broadcast_to(group[:, :, None], (shares, groups, size, channels))
    # The last group may be larger than its rows; the transpose fills it with zeros.
    return full.reshape(shares, groups * size, channels)[:, :rows].reshape(shape)

  first, second = map(widen, lax.optimization_barrier((pair[0], pair[1])))
  return first, second


def _shares(size: int) -> int:
  """Return into how many equal shares the devices at work divide an axis of this size."""
  return math.gcd(size, jax.sharding.get_abstract_mesh().size or 1)


def _rows(shape: Sequence[int]) -> int:
  return functools.reduce(lambda product, side: product * side, shape[:-1], 1)


def _widened(x: jax.Array) -> jax.Array:
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))
