"""The normalisation that every image goes through before a network sees it."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct


@struct.dataclass
class Normalisation:
  """Per-channel statistics of pixels scaled to [0, 1], and their use.

  Attributes:
    mean: float [C].
    std: float [C].

  Example:
    >>> normalise = Normalisation(mean=(0.5,), std=(0.25,))
    >>> normalise(np.full((1, 1, 1, 1), 255, np.uint8)).item()
    2.0
  """

  mean: Sequence[float] | np.ndarray | jax.Array
  std: Sequence[float] | np.ndarray | jax.Array

  def __call__(self, images: jax.Array) -> jax.Array:
    """Normalise images [B, H, W, C] of uint8, or of floats in [0, 1], to float32."""
    if images.dtype == jnp.uint8:
      images = images.astype(jnp.float32) / 255.0
    return (images - jnp.asarray(self.mean)) / jnp.asarray(self.std)

  def arrays(self) -> 'Normalisation':
    """Return the same with float32 arrays, to be put onto devices."""
    return Normalisation(np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32))
