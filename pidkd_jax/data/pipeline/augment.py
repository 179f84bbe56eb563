"""Random crops and flips on the device."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

# (key, images uint8 [B, H, W, C], (h, w)) -> uint8 [B, h, w, C].
Crop = Callable[[jax.Array, jax.Array, tuple[int, int]], jax.Array]

# A random-resized crop draws so many windows of an image, and takes the first that fits.
_TRIES = 10


@dataclasses.dataclass(frozen=True)
class PaddedCrop:
  """Pads images with zeros (black), and crops each at a random place.

  Attributes:
    padding: pixels on each side.
  """

  padding: int

  def __call__(self, key: jax.Array, images: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Return crops of a size; arguments as `Crop` takes them."""
    if not self.padding and images.shape[1:3] == size:
      return images
    around = (self.padding, self.padding)
    padded = jnp.pad(images, ((0, 0), around, around, (0, 0)))
    highest = jnp.array([padded.shape[1] - size[0], padded.shape[2] - size[1]])
    corners = jax.random.randint(key, (len(images), 2), 0, highest + 1)

    def window(image, corner):
      return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (*size, image.shape[-1]))

    return jax.vmap(window)(padded, corners)


@dataclasses.dataclass(frozen=True)
class ResizedCrop:
  """Crops a window of random area and aspect from each image, and resizes it, antialiased.

  Source: Szegedy et al., "Going deeper with convolutions", 2015, section 6; windows are drawn as
  torchvision's RandomResizedCrop draws them, with its defaults.

  Attributes:
    scale: the least and the largest share of the image's area.
    aspect: the least and the largest width over height. Its logarithm is uniform.
  """

  scale: tuple[float, float] = (0.08, 1.0)
  aspect: tuple[float, float] = (3 / 4, 4 / 3)

  def __call__(self, key: jax.Array, images: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Return crops of a size; arguments as `Crop` takes them."""
    height, width = images.shape[1:3]
    start, length = self.windows(key, len(images), (height, width))
    rows = _weights(start[:, 0], length[:, 0], height, size[0])
    columns = _weights(start[:, 1], length[:, 1], width, size[1])
    # Products of float32, so that no level of 256 depends on the training's precision.
    exact = jax.lax.Precision.HIGHEST
    values = jnp.einsum('bhy,byxc->bhxc', rows, images.astype(jnp.float32), precision=exact)
    values = jnp.einsum('bwx,bhxc->bhwc', columns, values, precision=exact)
    return jnp.clip(jnp.round(values), 0, 255).astype(jnp.uint8)

  def windows(
    self, key: jax.Array, count: int, size: tuple[int, int]
  ) -> tuple[jax.Array, jax.Array]:
    """Draw windows.

    Args:
      key: PRNG key.
      count: B.
      size: (H, W) of the images.

    Returns:
      The first pixel and the number of pixels along height and width, two int32 [B, 2].
    """
    height, width = size
    area_key, aspect_key, place_key = jax.random.split(key, 3)
    low, high = self.scale
    area = height * width * jax.random.uniform(area_key, (count, _TRIES), minval=low, maxval=high)
    low, high = jnp.log(jnp.array(self.aspect))
    aspect = jnp.exp(jax.random.uniform(aspect_key, (count, _TRIES), minval=low, maxval=high))
    drawn = jnp.stack([jnp.sqrt(area / aspect), jnp.sqrt(area * aspect)], axis=-1)
    drawn = jnp.round(drawn).astype(jnp.int32)
    fits = ((drawn > 0) & (drawn <= jnp.array(size))).all(axis=-1)
    first = jnp.argmax(fits, axis=1)[:, None, None]
    length = jnp.take_along_axis(drawn, first, axis=1)[:, 0]
    # Otherwise the middle: as much of the image as the bounds of the aspect allow.
    least, largest = self.aspect
    largest_window = (min(height, round(width / least)), min(width, round(height * largest)))
    length = jnp.where(fits.any(axis=1)[:, None], length, jnp.array(largest_window))
    free = jnp.array(size) - length
    places = jax.random.uniform(place_key, (count, 2))
    random = jnp.minimum((places * (free + 1)).astype(jnp.int32), free)
    return jnp.where(fits.any(axis=1)[:, None], random, free // 2), length


def _weights(start: jax.Array, length: jax.Array, size_in: int, size_out: int) -> jax.Array:
  """Return the weights of a linear, antialiased resampling of windows along one axis.

  A window is cut out first, so pixels outside of it have no weight. Pillow's BILINEAR has the same
  weights.

  Args:
    start: int32 [B], the first pixel of each window.
    length: int32 [B], its pixels.
    size_in: the pixels of the axis.
    size_out: those of the result.

  Returns:
    float32 [B, size_out, size_in]; each row sums to 1.
  """
  step = (length / size_out)[:, None, None]
  centre = start[:, None, None] + (jnp.arange(size_out)[:, None] + 0.5) * step - 0.5
  pixel = jnp.arange(size_in)
  weights = jnp.maximum(1 - jnp.abs(pixel - centre) / jnp.maximum(step, 1), 0)
  inside = (pixel >= start[:, None]) & (pixel < (start + length)[:, None])
  weights = jnp.where(inside[:, None], weights, 0)
  return weights / weights.sum(axis=-1, keepdims=True)


def resample(images: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Bring images to another size by linear interpolation, antialiased where they shrink.

  Args:
    images: float [B, H, W, C].
    size: (h, w).

  Returns:
    [B, h, w, C], of the same type.
  """
  shape = (len(images), *size, images.shape[-1])
  return jax.image.resize(
    images, shape, 'linear', antialias=True, precision=jax.lax.Precision.HIGHEST
  )


# {name: a function from settings with padding, crop_scale and crop_aspect to the crop}.
CROPS: Mapping[str, Callable[[Any], Crop]] = {
  'pad': lambda settings: PaddedCrop(settings.padding),
  'resized': lambda settings: ResizedCrop(tuple(settings.crop_scale), tuple(settings.crop_aspect)),
}


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
