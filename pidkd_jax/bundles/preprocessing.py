"""What the images of a PyTorch network are, as its library evaluates it."""

import dataclasses

from pidkd_jax.core.normalisation import Normalisation


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """What a network's images are.

  Attributes:
    image_shape: (H, W, C).
    normalisation: of pixels in [0, 1].
    crop_ratio: side of the crop over the shorter side of the resized image, for evaluation.
    interpolation: by which the library scales them.
    crop_mode: how it cuts them: 'center', or timm's 'squash' and 'border'.
  """

  image_shape: tuple[int, int, int]
  normalisation: Normalisation
  crop_ratio: float
  interpolation: str = 'bilinear'
  crop_mode: str = 'center'

  @property
  def side(self) -> int | None:
    """Side of the images in pixels; None where they are no squares."""
    height, width, _ = self.image_shape
    return height if height == width else None
