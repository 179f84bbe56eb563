"""Random crops and flips on the device."""

import jax
import jax.numpy as jnp


def crop(key: jax.Array, images: jax.Array, padding: int) -> jax.Array:
  """Pad images with zeros (black) and crop each at a random place to its original size.

  Args:
    key: PRNG key.
    images: uint8 [B, H, W, C].
    padding: pixels on each side.

  Returns:
    uint8 [B, H, W, C].
  """
  padded = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
  corners = jax.random.randint(key, (len(images), 2), 0, 2 * padding + 1)

  def window(image, corner):
    return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

  return jax.vmap(window)(padded, corners)


def flip(key: jax.Array, images: jax.Array) -> jax.Array:
  """Mirror each image left to right with probability 1/2.

  Args:
    key: PRNG key.
    images: [B, H, W, C].

  Returns:
    [B, H, W, C], of the same type.
  """
  mirrored = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
  return jnp.where(mirrored, images[:, :, ::-1], images)
