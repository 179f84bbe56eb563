"""A bundle in use: images in, probabilities of its classes out."""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import softmax

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Network
from pidkd_jax.models import norm_fusion
from pidkd_jax.nn.precision import FLOAT32

# The numbers of images for which a program is compiled; a rest is padded to the next of them.
_SIZES = (1, 4, 16, 64, 256)


class Predictor:
  """A network with all that stands between images and the names of classes.

  It is folded once and computes in float32. A program is compiled at the first call with about as
  many images; an image's result depends on its company by rounding alone.

  Attributes:
    class_names: K, in the order of the probabilities; their numbers where the bundle has no names.
    image_shape: (H, W, C) of the images that it takes.
    card: what the bundle says of itself (card.json).
  """

  def __init__(self, loaded: Bundle):
    """Takes a bundle that `bundle.load` has read."""
    facts = loaded.card['dataset']
    numbers = map(str, range(loaded.network.model.num_classes))
    self.class_names = tuple(facts['class_names'] or numbers)
    self.image_shape = tuple(facts['image_shape'])
    self.card: Mapping[str, Any] = loaded.card
    self._network = norm_fusion.fuse_norms(loaded.network)
    self._normalisation = jax.tree.map(jnp.asarray, loaded.normalisation.arrays())

  def predict(self, images: np.ndarray) -> np.ndarray:
    """Probabilities of the classes.

    Args:
      images: [N, H, W, C], or one image [H, W, C], of the size of `image_shape`: uint8, or floating
        point with the pixels scaled to [0, 1]. Normalisation is done here.

    Returns:
      float32 [N, K], or [K] of one image; each row sums to 1.

    Raises:
      UserError: the images are of another shape or type, or their pixels lie outside.
    """
    return softmax(self.logits(images), axis=-1)

  def top(self, images: np.ndarray, k: int = 5) -> list[list[tuple[str, float]]]:
    """The likeliest classes.

    Args:
      images: [N, H, W, C], as `predict` takes them.
      k: how many; of fewer classes all.

    Returns:
      For each image (class, probability), the likeliest first.
    """
    probabilities = np.atleast_2d(self.predict(images))
    order = np.argsort(-probabilities, axis=-1, kind='stable')[:, :k]
    return [
      [(self.class_names[i], float(row[i])) for i in best]
      for row, best in zip(probabilities, order, strict=True)
    ]

  def logits(self, images: np.ndarray) -> np.ndarray:
    """What `predict` makes probabilities of, float32 [N, K] or [K]; arguments as there."""
    images = self._checked(np.asarray(images))
    if images.ndim == 3:
      return self._of_batches(images[None])[0]
    return self._of_batches(images)

  def _checked(self, images: np.ndarray) -> np.ndarray:
    """The images as uint8 or float32; raises UserError for what nobody can have meant."""
    size = ', '.join(map(str, self.image_shape))
    if images.ndim not in (3, 4) or images.shape[-3:] != self.image_shape:
      raise UserError(
        f'the images are {list(images.shape)}; [N, {size}] is needed, or [{size}] for one'
      )
    if images.dtype == np.uint8:
      return images
    if not np.issubdtype(images.dtype, np.floating):
      raise UserError(
        f'the images are {images.dtype}; make them uint8 of 0 to 255, or floats of 0 to 1'
      )
    low, high = images.min(initial=0), images.max(initial=1)
    if not (low >= 0 and high <= 1):  # Not a number is neither.
      raise UserError(
        f'the pixels are {images.dtype} of {low:g} to {high:g}; floats must lie within 0 and 1 '
        '(divide those of 0 to 255), and normalisation is done here'
      )
    return images.astype(np.float32)

  def _of_batches(self, images: np.ndarray) -> np.ndarray:
    """float32 [N, K] of checked images [N, H, W, C]."""
    parts = []
    with FLOAT32.scope():
      # All batches are under way before the first is fetched.
      for i in range(0, len(images), _SIZES[-1]):
        part = images[i : i + _SIZES[-1]]
        lacking = next(size for size in _SIZES if size >= len(part)) - len(part)
        if lacking:
          part = np.pad(part, ((0, lacking), (0, 0), (0, 0), (0, 0)))
        parts.append(_logits(self._network, part, self._normalisation))
    found = [np.empty((0, len(self.class_names)), np.float32), *map(np.asarray, parts)]
    return np.concatenate(found)[: len(images)]


@jax.jit
def _logits(network: Network, images: jax.Array, normalisation: Normalisation) -> jax.Array:
  return network.classify(network.encode(normalisation(images)).pooled)


def load(folder: str | pathlib.Path, own: Iterable[models.Family] = ()) -> Predictor:
  """Reads a bundle for use; arguments and errors as those of `bundle.load`."""
  return Predictor(bundle.load(pathlib.Path(folder), own))
