"""The function to export: a bundle's network, from images to logits."""

import dataclasses
from typing import Any, Self

import jax
import numpy as np

from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.models.network import Network
from pidkd_jax.models.projector_fusion import fuse_projectors

# Number of training images that give the ranges of 8-bit maps.
_CALIBRATION = 512
# {layout of a file's input: where its axes lie in images [B, H, W, C]}.
_AXES = {'nhwc': (0, 1, 2, 3), 'nchw': (0, 3, 1, 2)}
LAYOUTS = tuple(_AXES)


@dataclasses.dataclass(frozen=True, eq=False)
class Deployable:
  """A bundle's network in its inference form, called with images.

  Attributes:
    bundle: the bundle.
    uint8: whether the input is pixels, which the function normalises itself.
    calibration: uint8 [M, H, W, C], training images to calibrate the ranges of 8-bit maps.
    layout: of the input, one of LAYOUTS. The network computes in NHWC either way.
    network: the bundle's network with fused norms and projectors.
  """

  bundle: Bundle
  uint8: bool
  calibration: np.ndarray
  layout: str = 'nhwc'
  network: Network = dataclasses.field(init=False)

  def __post_init__(self):
    # Fusion computes on the host. Inside a traced function, the variables would have no values.
    fused = fuse_projectors(self.bundle.network, self.image_shape)
    object.__setattr__(self, 'network', fused)

  @classmethod
  def create(cls, bundle: Bundle, train: Split, uint8: bool, layout: str = 'nhwc') -> Self:
    """Make a deployable that is calibrated on some images of a training split."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(train))[:_CALIBRATION])
    [calibration] = train.take(chosen).blocks(len(chosen))
    return cls(bundle, uint8, np.asarray(calibration), layout)

  @property
  def image_shape(self) -> tuple[int, ...]:
    """(H, W, C) of the images that the network sees."""
    return tuple(self.bundle.card['dataset']['image_shape'])

  @property
  def input_shape(self) -> tuple[int, ...]:
    """The shape of one input image: (H, W, C), or its axes in another layout."""
    shape = (0, *self.image_shape)
    return tuple(shape[axis] for axis in _AXES[self.layout][1:])

  @property
  def dtype(self) -> np.dtype:
    """The type of the input images."""
    return np.dtype(np.uint8 if self.uint8 else np.float32)

  def __call__(self, image: jax.Array) -> jax.Array:
    """Return the logits [B, K] of images [B, *input_shape] of type `dtype`."""
    image = image.transpose(*np.argsort(_AXES[self.layout]))
    if self.uint8:
      image = self._normalise(image)
    return self.network.classify(self.network.encode(image).pooled)

  def prepare(self, pixels: np.ndarray) -> np.ndarray:
    """Return the input for pixels, uint8 [B, H, W, C]."""
    images = pixels if self.uint8 else np.asarray(self._normalise(pixels))
    return np.ascontiguousarray(images.transpose(_AXES[self.layout]))

  def describe_input(self) -> dict[str, Any]:
    """Return the card's entry on the input: shape, layout, type and range of the images."""
    return {
      'shape': [None, *self.input_shape],
      'layout': self.layout,
      'dtype': self.dtype.name,
      'pixels': '0 to 255' if self.uint8 else '(pixel / 255 - mean) / std, by the dataset above',
    }

  def _normalise(self, pixels):
    return self.bundle.normalisation.arrays()(pixels)
