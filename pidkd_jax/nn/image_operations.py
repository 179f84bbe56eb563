"""The fourteen operations of RandAugment and TrivialAugment, on the device.

An operation belongs to one of three forms: it moves pixels (`WARPS`), maps levels (`LEVELS`), or
blends an image with another that is made of it (`BLENDS`). Each image goes through each form once,
and two of them leave it as it is. So a batch of different operations costs little more than one.

Sources: Cubuk et al. 2020, arXiv:1909.13719; Müller and Hutter 2021, arXiv:2103.10158. Numbers are
those of torchvision's tensor operations: nearest pixels, black around the image, and levels without
their fractions.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

_LEVELS = 256
# Of red, green and blue in a grey image (ITU-R BT.601, as torchvision rounds them).
_GREY = (0.2989, 0.587, 0.114)

# magnitude, (H, W) -> [a, b, c, d, e, f]. Pixel (x, y) of the result, counted from the centre,
# shows (a x + b y + c, d x + e y + f) of the image.
Matrix = Callable[[jax.Array, tuple[int, int]], list]
# magnitude, counts int32 [256] of a channel's levels -> [256], the new levels.
Table = Callable[[jax.Array, jax.Array], jax.Array]
# image float32 [H, W, C] of whole levels -> [H, W, C] or scalar.
Other = Callable[[jax.Array], jax.Array]


def _rotation(angle: jax.Array, size: tuple[int, int]) -> list:
  del size
  cosine, sine = jnp.cos(jnp.radians(angle)), jnp.sin(jnp.radians(angle))
  return [cosine, -sine, 0, sine, cosine, 0]


# Shears keep the top row or the left column. Translations are in pixels, and angles in degrees.
WARPS: Mapping[str, Matrix] = {
  'shear_x': lambda share, size: [1, share, share * size[0] / 2, 0, 1, 0],
  'shear_y': lambda share, size: [1, 0, 0, share, 1, share * size[1] / 2],
  'translate_x': lambda pixels, size: [1, 0, -jnp.trunc(pixels), 0, 1, 0],
  'translate_y': lambda pixels, size: [1, 0, 0, 0, 1, -jnp.trunc(pixels)],
  'rotate': _rotation,
}


def _posterize(bits: jax.Array, counts: jax.Array) -> jax.Array:
  del counts
  step = 2 ** (8 - jnp.clip(bits.astype(jnp.int32), 0, 8))
  return jnp.arange(_LEVELS) // step * step


def _solarize(threshold: jax.Array, counts: jax.Array) -> jax.Array:
  del counts
  level = jnp.arange(_LEVELS)
  return jnp.where(level >= threshold, 255 - level, level)


def _autocontrast(magnitude: jax.Array, counts: jax.Array) -> jax.Array:
  """Stretch the levels that occur to 0 to 255."""
  del magnitude
  level, occurs = jnp.arange(_LEVELS), counts > 0
  low, high = jnp.argmax(occurs), 255 - jnp.argmax(occurs[::-1])
  return jnp.where(high > low, (level - low) * 255 // jnp.maximum(high - low, 1), level)


def _equalize(magnitude: jax.Array, counts: jax.Array) -> jax.Array:
  """Make levels about equally frequent."""
  del magnitude
  highest = 255 - jnp.argmax((counts > 0)[::-1])
  step = (counts.sum() - counts[highest]) // 255
  below = jnp.cumsum(counts) - counts
  even = (below + step // 2) // jnp.maximum(step, 1)
  even = even.at[0].set(0)
  return jnp.where(step > 0, even, jnp.arange(_LEVELS))


LEVELS: Mapping[str, Table] = {
  'posterize': _posterize,
  'solarize': _solarize,
  'autocontrast': _autocontrast,
  'equalize': _equalize,
}


def _grey(image: jax.Array) -> jax.Array:
  if image.shape[-1] != len(_GREY):
    return image
  return jnp.trunc(jnp.sum(image * jnp.array(_GREY), axis=-1, keepdims=True))


def _smooth(image: jax.Array) -> jax.Array:
  """Return the weighted means of 3x3 pixels, with weight 5 at the centre; edges stay."""
  height, width, _ = image.shape
  if min(height, width) < 3:
    return image
  rows = image[:-2] + image[1:-1] + image[2:]
  inner = image[1:-1, 1:-1]
  means = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * inner) / 13
  return image.at[1:-1, 1:-1].set(jnp.round(means))


# The result is image + magnitude * (image - other).
BLENDS: Mapping[str, Other] = {
  'brightness': jnp.zeros_like,
  'color': _grey,
  'contrast': lambda image: jnp.mean(_grey(image)),
  'sharpness': _smooth,
}

NAMES = ('identity', *WARPS, *LEVELS, *BLENDS)


def operate(images: jax.Array, operations: jax.Array, magnitudes: jax.Array) -> jax.Array:
  """Change each image by an operation of its own.

  Args:
    images: uint8 [B, H, W, C].
    operations: int32 [B], places in `NAMES`.
    magnitudes: float32 [B], as the operations take them: a share for shears, pixels, degrees, bits
      that are kept, the level from which 'solarize' inverts, or what is added to a factor of 1.
      'identity', 'autocontrast' and 'equalize' read none.

  Returns:
    uint8 [B, H, W, C].

  Example:
    >>> image = jnp.array([10, 200, 30], jnp.uint8).reshape(1, 1, 3, 1)
    >>> solarize = jnp.array([NAMES.index('solarize')])
    >>> inverted = jax.jit(operate)(image, solarize, jnp.array([128.0]))
    >>> inverted.ravel().tolist()
    [10, 55, 30]
  """
  return jax.vmap(_operate)(images, operations, magnitudes.astype(jnp.float32))


def _operate(image: jax.Array, operation: jax.Array, magnitude: jax.Array) -> jax.Array:
  image = _warped(image, _place(operation, WARPS), magnitude)
  image = _mapped(image, _place(operation, LEVELS), magnitude)
  return _blended(image, _place(operation, BLENDS), magnitude)


def _place(operation: jax.Array, form: Mapping) -> jax.Array:
  """Return the place of an operation in a form, counted from 1; 0 where it has another."""
  place = operation - NAMES.index(next(iter(form)))
  return jnp.where((place >= 0) & (place < len(form)), place + 1, 0)


def _warped(image: jax.Array, place: jax.Array, magnitude: jax.Array) -> jax.Array:
  height, width, _ = image.shape
  matrices = [[1, 0, 0, 0, 1, 0], *(make(magnitude, (height, width)) for make in WARPS.values())]
  a, b, c, d, e, f = jnp.array(matrices, jnp.float32)[place]
  y = (jnp.arange(height) - (height - 1) / 2)[:, None]
  x = jnp.arange(width) - (width - 1) / 2
  column = jnp.round(a * x + b * y + c + (width - 1) / 2).astype(jnp.int32)
  row = jnp.round(d * x + e * y + f + (height - 1) / 2).astype(jnp.int32)
  inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
  found = image[jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)]
  return jnp.where(inside[..., None], found, 0)


def _mapped(image: jax.Array, place: jax.Array, magnitude: jax.Array) -> jax.Array:
  def channel(values: jax.Array) -> jax.Array:
    counts = jnp.zeros(_LEVELS, jnp.int32).at[values.ravel()].add(1)
    made = [jnp.arange(_LEVELS), *(make(magnitude, counts) for make in LEVELS.values())]
    tables = jnp.stack([jnp.clip(table, 0, 255).astype(jnp.uint8) for table in made])
    return tables[place][values]

  return jax.vmap(channel, in_axes=-1, out_axes=-1)(image)


def _blended(image: jax.Array, place: jax.Array, magnitude: jax.Array) -> jax.Array:
  levels = image.astype(jnp.float32)
  others = [levels, *(make(levels) for make in BLENDS.values())]
  other = jnp.stack([jnp.broadcast_to(one, levels.shape) for one in others])[place]
  blended = levels + jnp.where(place > 0, magnitude, 0) * (levels - other)
  return jnp.clip(blended, 0, 255).astype(jnp.uint8)
