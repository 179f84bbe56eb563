"""Random crops and flips on the device."""

import jax
import jax.numpy as jnp


def crop(key: jax.Array, images: jax.Array, padding: int) -> jax.Array:
  """Pads with zeros (black) and cuts each image at a random place to its size again.

  Args:
    key: PRNG key.
    images: uint8 [B, H, W, C].
    padding: pixels on each side.

  Returns:
    uint8 [B, H, W, C].
  """
  padded = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
  corner = jax.random.randint(key, (len(images), 2), 0, 2 * padding + 1)

  def cut(image, corner):
    return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

  return jax.vmap(cut)(padded, corner)


def flip(key: jax.Array, images: jax.Array) -> jax.Array:
  """Mirrors half of the images left to right: [B, H, W, C] -> the same."""
  mirrored = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
  return jnp.where(mirrored, images[:, :, ::-1], images)
