"""Convolutions as products of matrices."""

import jax
import jax.numpy as jnp

from pidkd_jax.nn.convolution.formulation import formulation


@formulation
def by_dot(x: jax.Array, kernel: jax.Array, strides, padding, **_) -> jax.Array:
  """Compute a convolution as one product of two matrices: patches by channels, and the kernel.

  Under `vmap` over kernels a convolution becomes a grouped one, which XLA runs several times slower
  on CPU. A matrix product becomes a batched matrix product. Patches are the rows of a matrix, for
  with the axes of the map XLA computes the kernel's gradient several times slower.

  Args:
    x: [B, H, W, C], the map.
    kernel: [h, w, C, M].
    strides: the steps (down, right).
    padding: ((top, bottom), (left, right)).

  Returns:
    [B, H', W', M].

  Example:
    >>> by_dot(jnp.ones((8, 4, 4, 64)), jnp.ones((3, 3, 64, 128)), (1, 1), ((1, 1), (1, 1))).shape
    (8, 4, 4, 128)
  """
  height, width, channels, features = kernel.shape
  down, right = strides
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  patches = jnp.concatenate(
    [
      x[:, i : i + rows : down, j : j + columns : right]
      for i in range(height)
      for j in range(width)
    ],
    axis=-1,
  )
  y = patches.reshape(-1, patches.shape[-1]) @ kernel.reshape(height * width * channels, features)
  return y.reshape(*patches.shape[:-1], features)


@formulation
def grouped_by_dot(
  x: jax.Array, kernel: jax.Array, strides, padding, feature_group_count: int, **_
) -> jax.Array:
  """Compute a grouped 1x1 convolution as a batched matrix product.

  Args:
    x: [B, H, W, C], the map.
    kernel: [1, 1, C // groups, M].
    strides: must be 1.
    padding: must be 0.
    feature_group_count: the number of groups.

  Returns:
    [B, H, W, M], with the channels of one group next to each other.

  Raises:
    ValueError: the kernel is not 1x1, a stride is not 1, or there is padding.

  Example:
    >>> x, kernel = jnp.ones((8, 4, 4, 64)), jnp.ones((1, 1, 16, 128))
    >>> grouped_by_dot(x, kernel, (1, 1), ((0, 0), (0, 0)), feature_group_count=4).shape
    (8, 4, 4, 128)
  """
  pointwise = kernel.shape[:2] == (1, 1) and all(stride == 1 for stride in strides)
  if not pointwise or any(map(any, padding)):
    raise ValueError('grouped_by_dot needs a 1x1 kernel, stride 1 and no padding')
  groups, (size, features) = feature_group_count, kernel.shape[2:]
  x = x.reshape(*x.shape[:3], groups, size)
  y = jnp.einsum('bhwgc,cgm->bhwgm', x, kernel.reshape(size, groups, features // groups))
  return y.reshape(*y.shape[:3], features)
