"""What every image goes through before a network sees it."""

import jax
import jax.numpy as jnp


def normalise(images: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
  """Images [B, H, W, C] -> float32, by the statistics [C] of pixels scaled to [0, 1].

  Args:
    images: uint8, or floating point that is scaled already.
    mean: per channel.
    std: per channel.
  """
  if images.dtype == jnp.uint8:
    images = images.astype(jnp.float32) / 255.0
  return (images - jnp.asarray(mean)) / jnp.asarray(std)
