"""Formulations of convolutions that XLA runs slowly as such, above all on CPU.

Each has the signature that `nn.Conv(conv_general_dilated=...)` calls, NHWC and HWIO, and equals
`lax.conv_general_dilated` where it applies.
"""

import functools

import jax
import jax.numpy as jnp


def by_dot(x: jax.Array, kernel: jax.Array, strides, padding, **_) -> jax.Array:
  """A stride-1 convolution as one matrix product over patches.

  Under `vmap` over kernels a convolution becomes a grouped one, which XLA runs several times
  slower on CPU; a matrix product becomes a batched matrix product.

  Args:
    x: [B, H, W, C].
    kernel: [h, w, C, M].
    strides: must be 1.
    padding: ((top, bottom), (left, right)).

  Returns:
    [B, H', W', M].
  """
  if any(s != 1 for s in strides):
    raise ValueError(f'a convolution by dot has stride 1, not {strides}')
  height, width, channels, features = kernel.shape
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  patches = [x[:, i : i + rows, j : j + columns] for i in range(height) for j in range(width)]
  patches = jnp.concatenate(patches, axis=-1)
  return patches @ kernel.reshape(height * width * channels, features)


def grouped_by_dot(
  x: jax.Array, kernel: jax.Array, strides, padding, feature_group_count: int, **_
) -> jax.Array:
  """A grouped 1x1 convolution as a batched matrix product.

  Args:
    x: [B, H, W, C].
    kernel: [1, 1, C // groups, M].
    strides: must be 1.
    padding: must be 0.
    feature_group_count: the number of groups.

  Returns:
    [B, H, W, M], group by group.
  """
  if kernel.shape[:2] != (1, 1) or any(s != 1 for s in strides) or any(map(any, padding)):
    raise ValueError('a grouped convolution by dot is 1x1, of stride 1 and without padding')
  groups, (size, features) = feature_group_count, kernel.shape[2:]
  x = x.reshape(*x.shape[:3], groups, size)
  y = jnp.einsum('bhwgc,cgm->bhwgm', x, kernel.reshape(size, groups, features // groups))
  return y.reshape(*y.shape[:3], features)


def depthwise_by_shift(x: jax.Array, kernel: jax.Array, strides, padding, **_) -> jax.Array:
  """A depthwise convolution as a sum of shifted maps, one for each tap of the kernel.

  On two CPU cores twenty times faster forward, and four to twenty times with its gradient.

  Args:
    x: [B, H, W, C].
    kernel: [h, w, 1, C].
    strides: in both directions.
    padding: ((top, bottom), (left, right)).

  Returns:
    [B, H', W', C].
  """
  if kernel.shape[2] != 1 or kernel.shape[3] != x.shape[-1]:
    raise ValueError(f'a kernel {list(kernel.shape)} is not depthwise on {x.shape[-1]} channels')
  return depthwise_of_padded(jnp.pad(x, ((0, 0), *padding, (0, 0))), kernel, tuple(strides))


# Compiled under a name of its own, by which `evaluation.cost` knows it in a larger program.
@functools.partial(jax.jit, static_argnames='strides')
def depthwise_of_padded(x: jax.Array, kernel: jax.Array, strides: tuple[int, int]) -> jax.Array:
  """`depthwise_by_shift` of a map that is padded already."""
  (height, width), (down, right) = kernel.shape[:2], strides
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  return sum(
    x[:, i : i + rows : down, j : j + columns : right] * kernel[i, j, 0]
    for i in range(height)
    for j in range(width)
  )
