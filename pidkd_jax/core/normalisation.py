"""The normalisation that every image goes through before a network sees it."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from pidkd_jax.core.errors import UserError

# Of pixels scaled to [0, 1]. Statistics of 0 to 255 also lie within; float32 holds what comes out.
LARGEST_MEAN, LEAST_STD, LARGEST_STD = 1e4, 1e-6, 1e4


def flaw(mean: Sequence[float], std: Sequence[float]) -> str | None:
  """Return what no images can be normalised by, or None if all is well.

  Args:
    mean: of each channel.
    std: of each channel.

  Example:
    >>> flaw((0.5,), (0.25,)), flaw((0.5,), (1e-60,))
    (None, 'std 1e-60 is not within 1e-06 and 10,000')
  """
  for value in mean:
    if not abs(value) <= LARGEST_MEAN:
      return f'mean {value:g} is not within -{LARGEST_MEAN:,.0f} and {LARGEST_MEAN:,.0f}'
  for value in std:
    if not LEAST_STD <= value <= LARGEST_STD:
      return f'std {value:g} is not within {LEAST_STD:g} and {LARGEST_STD:,.0f}'
  return None


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

  def numbers(self) -> 'Normalisation':
    """Return the same with tuples of Python's floats, as a bundle's card has them."""
    return Normalisation(_floats(self.mean), _floats(self.std))

  def arrays(self) -> 'Normalisation':
    """Return the same with float32 arrays, to be put onto devices."""
    return Normalisation(np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32))


def checked(what: str, given: Normalisation, channels: int) -> Normalisation:
  """Return statistics of a user's own as numbers.

  Args:
    what: the subject of the message.
    given: the statistics.
    channels: C of the images.

  Raises:
    UserError: they are not those of C channels of pixels in [0, 1].
  """
  if not isinstance(given, Normalisation):
    raise UserError(f'{what} is a {type(given).__name__}; give a Normalisation(mean, std)')
  try:
    mean, std = _floats(given.mean), _floats(given.std)
  except (TypeError, ValueError) as error:
    raise UserError(f'{what} is {given.mean!r} and {given.std!r}; give numbers') from error
  for values in (mean, std):
    if len(values) != channels:
      raise UserError(f'{what} has {len(values)} channels; the images have {channels}')
  if found := flaw(mean, std):
    raise UserError(f'{what}: {found}')
  for name, values in (('mean', mean), ('std', std)):
    if wrong := [value for value in values if not 0 <= value <= 1]:
      raise UserError(
        f'{what} has the {name} {wrong[0]:g}, and pixels are scaled to [0, 1]; divide those of '
        '0 to 255'
      )
  return Normalisation(mean, std)


def _floats(values: Sequence[float] | np.ndarray | jax.Array) -> tuple[float, ...]:
  return tuple(map(float, np.ravel(values)))
