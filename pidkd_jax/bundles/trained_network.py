"""A trained network in use: images in, probabilities of its classes out."""

import dataclasses
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
from pidkd_jax.core import atomic_folder
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.models import norm_fusion
from pidkd_jax.models.network import Network
from pidkd_jax.nn.precision import FLOAT32

# A program is compiled for each of these numbers of images. Other numbers are padded to the next.
_SIZES = (1, 4, 16, 64, 256)


class TrainedNetwork:
  """A trained network with everything between images and the names of classes.

  `kd.train`, `kd.distill` and `kd.load` return it, and `kd.distill` takes it as a teacher. It
  predicts in float32. The first call with about so many images compiles a program. An image's
  result depends on the other images of the call only by rounding.

  Attributes:
    bundle: the network with its card, as a folder holds them.
    class_names: K names in the order of the probabilities; numbers where the bundle has no names.
    image_shape: (H, W, C) of the images.
  """

  def __init__(self, loaded: Bundle):
    """Take a bundle that `bundle.load` has read."""
    facts = loaded.card['dataset']
    numbers = map(str, range(loaded.network.model.num_classes))
    self.bundle = loaded
    self.class_names = tuple(facts['class_names'] or numbers)
    self.image_shape = tuple(facts['image_shape'])
    self._network = norm_fusion.fuse_norms(loaded.network)
    self._normalisation = jax.tree.map(jnp.asarray, loaded.normalisation.arrays())

  def __repr__(self) -> str:
    name = self.card.get('network', self.card['model']['family'])
    height, width, channels = self.image_shape
    top1 = f', top-1 {self.metrics["top1"]:.1%}' if 'top1' in self.metrics else ''
    return f'<{name}: {height}x{width}x{channels} -> {len(self.class_names)} classes{top1}>'

  @property
  def network(self) -> Network:
    """The model and its variables, for JAX: `network.encode(image)`, `network.classify(pooled)`."""
    return self.bundle.network

  @property
  def card(self) -> Mapping[str, Any]:
    """What the network says of itself: data, training, cost and results (card.json)."""
    return self.bundle.card

  @property
  def metrics(self) -> Mapping[str, float]:
    """{metric: value} on the test images, shares in [0, 1]; empty where nothing was measured."""
    results = self.card.get('results', {})
    return {name: value for name, value in results.items() if isinstance(value, int | float)}

  def predict(self, images: np.ndarray) -> np.ndarray:
    """Return the probabilities of the classes.

    Args:
      images: [N, H, W, C], or one image [H, W, C], of the size of `image_shape`: uint8, or floats
        with the pixels scaled to [0, 1]. Normalisation is done here.

    Returns:
      float32 [N, K], or [K] for one image. Each row sums to 1.

    Raises:
      UserError: the images have another shape or type, or pixels out of range; or a logit is not
        finite.
    """
    return softmax(self.logits(images), axis=-1)

  def top(self, images: np.ndarray, k: int = 5) -> list[list[tuple[str, float]]]:
    """Return the likeliest classes.

    Args:
      images: [N, H, W, C], as `predict` takes them.
      k: how many; all where there are fewer.

    Returns:
      For each image [(class, probability), ...], the likeliest first.
    """
    probabilities = np.atleast_2d(self.predict(images))
    order = np.argsort(-probabilities, axis=-1, kind='stable')[:, :k]
    return [
      [(self.class_names[i], float(row[i])) for i in best]
      for row, best in zip(probabilities, order, strict=True)
    ]

  def logits(self, images: np.ndarray) -> np.ndarray:
    """Return the logits, float32 [N, K] or [K]; arguments and errors as `predict`'s."""
    images = self._checked(np.asarray(images))
    logits = self._in_batches(images[None] if images.ndim == 3 else images)
    if not np.isfinite(logits).all():
      raise UserError(
        f'the network in {str(self.bundle.folder)!r} gives logits that are not finite; take another'
      )
    return logits[0] if images.ndim == 3 else logits

  def save(self, folder: str | pathlib.Path) -> None:
    """Save the network as a bundle, which `kd.load` and the commands read.

    Args:
      folder: of the bundle. A bundle that lies there is replaced.

    Raises:
      UserError: the folder holds something else, or cannot be written.
    """
    place = pathlib.Path(folder).expanduser()
    if place.exists() and not (place / atomic_folder.MANIFEST).is_file():
      raise UserError(f'{str(place)!r} is there already and is no bundle; name another folder')
    try:
      bundle.save(place, self.network, {k: v for k, v in self.card.items() if k != 'model'})
    except OSError as error:
      raise UserError(
        f'{str(place)!r} cannot be written: {error.strerror or error}; name another folder'
      ) from error
    self.bundle = dataclasses.replace(self.bundle, folder=place)

  def _checked(self, images: np.ndarray) -> np.ndarray:
    """Return the images as uint8 or float32; raise UserError for images that nobody can mean."""
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
    if not (low >= 0 and high <= 1):  # NaN fails both.
      raise UserError(
        f'the pixels are {images.dtype} of {low:g} to {high:g}; floats must lie within 0 and 1 '
        '(divide those of 0 to 255), and normalisation is done here'
      )
    return images.astype(np.float32)

  def _in_batches(self, images: np.ndarray) -> np.ndarray:
    """Return float32 [N, K] of checked images [N, H, W, C]."""
    parts = []
    with FLOAT32.scope():
      # All batches are dispatched before the first result is fetched.
      for i in range(0, len(images), _SIZES[-1]):
        part = images[i : i + _SIZES[-1]]
        missing = next(size for size in _SIZES if size >= len(part)) - len(part)
        if missing:
          part = np.pad(part, ((0, missing), (0, 0), (0, 0), (0, 0)))
        parts.append(_logits(self._network, part, self._normalisation))
    empty = np.empty((0, len(self.class_names)), np.float32)
    return np.concatenate([empty, *map(np.asarray, parts)])[: len(images)]


@jax.jit
def _logits(network: Network, images: jax.Array, normalisation: Normalisation) -> jax.Array:
  return network.classify(network.encode(normalisation(images)).pooled)


def load(folder: str | pathlib.Path, own: Iterable[models.Family] = ()) -> TrainedNetwork:
  """Load a bundle, to predict with it or to teach with it.

  Args:
    folder: of the bundle.
    own: classes of networks of your own that the bundle may hold. No other code is imported.

  Raises:
    UserError: the folder is missing, incomplete, altered, or of an unknown network.

  Example:
    >>> student = kd.load('runs/cifar100/bundles/pidkd-0')  # doctest: +SKIP
    >>> student.top(images, k=1)  # doctest: +SKIP
    [[('maple_tree', 0.93)]]
  """
  return TrainedNetwork(bundle.load(pathlib.Path(folder).expanduser(), own))
