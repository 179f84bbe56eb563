"""Random operations on images: RandAugment and TrivialAugment.

A policy is a function of a key and of images uint8 [B, H, W, C]. Each image has operations and
signs of its own. `strong_view` applies a policy to images that are normalised already.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.nn.image_operations import NAMES, operate

# (key, images uint8 [B, H, W, C]) -> uint8 [B, H, W, C].
Policy = Callable[[jax.Array, jax.Array], jax.Array]

# The steps of a magnitude, from none to the strongest.
STEPS = 31

# Operations whose magnitude has either sign, with equal chance.
_SIGNED = (
  *('shear_x', 'shear_y', 'translate_x', 'translate_y', 'rotate'),
  *('brightness', 'color', 'contrast', 'sharpness'),
)


def _magnitudes(
  *, shear: float, translate: tuple[float, float], angle: float, blend: float, lost_bits: int
) -> np.ndarray:
  """Return float32 [operations, STEPS], the magnitude of each operation at each step.

  Args:
    shear: the largest one, a share.
    translate: the most pixels along width and height.
    angle: the largest one, in degrees.
    blend: what is added to the factor of a blend at most.
    lost_bits: of 'posterize', at most.
  """
  part = np.linspace(0, 1, STEPS)
  rows = {
    'shear_x': shear * part,
    'shear_y': shear * part,
    'translate_x': translate[0] * part,
    'translate_y': translate[1] * part,
    'rotate': angle * part,
    'posterize': 8 - np.round(lost_bits * part),
    'solarize': 255 * (1 - part),
    **dict.fromkeys(('brightness', 'color', 'contrast', 'sharpness'), blend * part),
  }
  return np.stack([rows.get(name, 0 * part) for name in NAMES]).astype(np.float32)


def _round(
  key: jax.Array, images: jax.Array, magnitudes: np.ndarray, steps: jax.Array | int
) -> jax.Array:
  """Apply an operation to each image, drawn from all alike.

  Args:
    key: PRNG key.
    images: uint8 [B, H, W, C].
    magnitudes: as `_magnitudes` returns them.
    steps: int32 [B] or scalar, 0 to STEPS - 1.
  """
  operation_key, sign_key = jax.random.split(key)
  operations = jax.random.randint(operation_key, (len(images),), 0, len(NAMES))
  signed = jnp.array([name in _SIGNED for name in NAMES])[operations]
  negative = signed & jax.random.bernoulli(sign_key, shape=operations.shape)
  magnitude = jnp.asarray(magnitudes)[operations, steps]
  return operate(images, operations, jnp.where(negative, -magnitude, magnitude))


@dataclasses.dataclass(frozen=True)
class RandAugment:
  """Applies some operations after another, all of one magnitude.

  Source: Cubuk et al. 2020, arXiv:1909.13719, with the ranges of torchvision's RandAugment.

  Attributes:
    operations: of an image.
    magnitude: 0 to 30.
  """

  operations: int
  magnitude: int

  def __call__(self, key: jax.Array, images: jax.Array) -> jax.Array:
    """Return changed images; arguments as `Policy` takes them."""
    _, height, width, _ = images.shape
    magnitudes = self.magnitudes((height, width))
    for one in jax.random.split(key, self.operations):
      images = _round(one, images, magnitudes, self.magnitude)
    return images

  @staticmethod
  def magnitudes(size: tuple[int, int]) -> np.ndarray:
    """Return float32 [operations, STEPS] for images of (H, W)."""
    height, width = size
    # The published translation was measured in images of 331 pixels.
    share = 150 / 331
    translate = share * width, share * height
    return _magnitudes(shear=0.3, translate=translate, angle=30, blend=0.9, lost_bits=4)


@dataclasses.dataclass(frozen=True)
class TrivialAugment:
  """Applies one operation of a random magnitude.

  Source: Müller and Hutter 2021, arXiv:2103.10158, with the paper's wide ranges. It translates by
  up to 32 pixels, whatever the size of the images.
  """

  def __call__(self, key: jax.Array, images: jax.Array) -> jax.Array:
    """Return changed images; arguments as `Policy` takes them."""
    key, step_key = jax.random.split(key)
    steps = jax.random.randint(step_key, (len(images),), 0, STEPS)
    return _round(key, images, self.magnitudes(), steps)

  @staticmethod
  def magnitudes() -> np.ndarray:
    """Return float32 [operations, STEPS]."""
    return _magnitudes(shear=0.99, translate=(32, 32), angle=135, blend=0.99, lost_bits=6)


# {name: a function from settings with augment_operations and augment_magnitude to the policy}.
POLICIES: Mapping[str, Callable[[Any], Policy | None]] = {
  'none': lambda settings: None,
  'rand': lambda settings: RandAugment(settings.augment_operations, settings.augment_magnitude),
  'trivial': lambda settings: TrivialAugment(),
}


def strong_view(
  key: jax.Array, images: jax.Array, normalisation: Normalisation, policy: Policy
) -> jax.Array:
  """Return another view of a batch: the same crops and flips, changed by a policy.

  The images are brought back to levels of 0 to 255, which is exact for float32 images.

  Args:
    key: PRNG key.
    images: [B, H, W, C], normalised.
    normalisation: what normalised them.
    policy: `RandAugment(2, 9)`, for instance.

  Returns:
    [B, H, W, C], normalised, of the type of `images`.

  Example:
    >>> normalisation = Normalisation((0.5,), (0.25,))
    >>> images = normalisation(jnp.zeros((4, 8, 8, 1), jnp.uint8))
    >>> view = jax.jit(strong_view, static_argnums=(2, 3))
    >>> view(jax.random.key(0), images, normalisation, RandAugment(2, 9)).shape
    (4, 8, 8, 1)
  """
  share = images.astype(jnp.float32) * jnp.asarray(normalisation.std)
  share = share + jnp.asarray(normalisation.mean)
  levels = jnp.clip(jnp.round(share * 255), 0, 255).astype(jnp.uint8)
  return normalisation(policy(key, levels)).astype(images.dtype)
