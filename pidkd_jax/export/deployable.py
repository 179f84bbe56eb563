"""What is exported: one function from images to logits."""

import dataclasses
from typing import Any

import jax
import numpy as np

from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.types import Network
from pidkd_jax.models.projector_fusion import fuse_projectors


@dataclasses.dataclass(frozen=True, eq=False)
class Deployable:
  """A bundle's network in its inference form, called with images.

  Attributes:
    bundle: that it comes from.
    uint8: whether it is called with pixels and normalises them itself.
    calibration: uint8 [M, H, W, C], training images that tell the range of each map.
    network: the bundle's, with norms folded into convolutions and the projectors joined.
  """

  bundle: Bundle
  uint8: bool
  calibration: np.ndarray
  network: Network = dataclasses.field(init=False)

  def __post_init__(self):
    # At once: its values would be unknown where the function is traced.
    object.__setattr__(self, 'network', fuse_projectors(self.bundle.network))

  @property
  def image_shape(self) -> tuple[int, int, int]:
    return tuple(self.bundle.card['dataset']['image_shape'])

  @property
  def dtype(self) -> np.dtype:
    """Of the images."""
    return np.dtype(np.uint8 if self.uint8 else np.float32)

  def __call__(self, image: jax.Array) -> jax.Array:
    """Images [B, H, W, C] -> logits [B, K]."""
    if self.uint8:
      image = self._normalise(image)
    return self.network.classify(self.network.encode(image).pooled)

  def prepare(self, pixels: np.ndarray) -> np.ndarray:
    """uint8 [B, H, W, C] -> what it is called with."""
    return pixels if self.uint8 else np.asarray(self._normalise(pixels))

  def input(self) -> dict[str, Any]:
    """What a card says of it."""
    return {
      'shape': [None, *self.image_shape],
      'dtype': self.dtype.name,
      'pixels': '0 to 255' if self.uint8 else '(pixel / 255 - mean) / std, by the dataset above',
    }

  def _normalise(self, pixels):
    return self.bundle.normalisation.arrays()(pixels)
