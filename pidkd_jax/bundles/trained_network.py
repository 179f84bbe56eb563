"""A trained network in use: images in, probabilities of its classes out."""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax import models
from pidkd_jax.bundles import bundle, image_input
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.bundles.image_reader import ImageReader, Source
from pidkd_jax.core import atomic_folder, image, local_path
from pidkd_jax.core.errors import UserError, printable, whole_number
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.models import norm_fusion
from pidkd_jax.models.network import Network
from pidkd_jax.nn.precision import FLOAT32

# A program is compiled for each of these numbers of images. Other numbers are padded to the next.
_SIZES = (1, 4, 16, 64, 256)
BATCH_SIZE = _SIZES[-1]
# Batches that are on their way while the next are read. They bound the memory.
_AHEAD = 4


class TrainedNetwork:
  """A trained network with everything between images and the names of classes.

  `kd.train`, `kd.distill` and `kd.load` return it, and `kd.distill` takes it as a teacher. It
  predicts in float32. The first call with about so many images compiles a program. An image's
  result depends on the other images of the call only by rounding. There is one exception: if its
  data had no images of 16 bits, those of a call are judged together (`ImageReader.bits`).

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
    self._network = norm_fusion.fuse_norms(loaded.network, self.image_shape)
    self._normalisation = jax.tree.map(jnp.asarray, loaded.normalisation.arrays())

  def __repr__(self) -> str:
    name = printable(self.card.get('network') or self.card['model']['family'])
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

  def reader(self, sources: Sequence[Source]) -> ImageReader:
    """Return a reader of image files and images of Pillow, as the network takes them."""
    return ImageReader(sources, self.image_shape, self.bundle.crop_ratio, self.bundle.bits)

  def predict(self, images: Any) -> np.ndarray:
    """Return the probabilities of the classes.

    Args:
      images: one image, or several of one kind. Names or paths of image files and images of Pillow
        may have any size and mode: they are made upright, scaled until they cover the size of
        `image_shape` divided by the bundle's crop ratio, cut to the middle, and made gray or RGB.
        Arrays have the size of `image_shape`, [N, H, W, C] or [H, W, C]: uint8, or floats with the
        pixels scaled to [0, 1]. Gray arrays may lack C. Normalisation is done here.

    Returns:
      float32 [N, K], or [K] for one image. Each row sums to 1.

    Raises:
      UserError: files cannot be used, all of which are named; or arrays have another shape or type,
        or pixels out of range; or a logit is not finite.

    Example:
      >>> student.predict('photo.png').shape  # doctest: +SKIP
      (100,)
      >>> student.predict(['a.png', 'b.jpg']).shape  # doctest: +SKIP
      (2, 100)
    """
    # By hand, as importing scipy would lengthen the start.
    logits = self.logits(images)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)

  def top(self, images: Any, k: int = 5) -> list[list[tuple[str, float]]]:
    """Return the likeliest classes.

    Args:
      images: as `predict` takes them.
      k: how many; all where there are fewer.

    Returns:
      For each image [(class, probability), ...], the likeliest first.
    """
    whole_number('k', k, least=1)
    probabilities = np.atleast_2d(self.predict(images))
    order = np.argsort(-probabilities, axis=-1, kind='stable')[:, :k]
    return [
      [(self.class_names[i], float(row[i])) for i in best]
      for row, best in zip(probabilities, order, strict=True)
    ]

  def logits(self, images: Any) -> np.ndarray:
    """Return the logits, float32 [N, K] or [K]; arguments and errors as `predict`'s."""
    taken, alone = image_input.take(images, self.image_shape)
    logits = self._in_batches(
      _slices(taken) if isinstance(taken, np.ndarray) else _pixels(self.reader(taken))
    )
    if not np.isfinite(logits).all():
      raise UserError(
        f'the network in {str(self.bundle.folder)!r} gives logits that are not finite; take another'
      )
    return logits[0] if alone else logits

  def evaluate(self, images: Any, labels: Any = None) -> dict[str, float]:
    """Return the metrics on images whose classes are known, as `pidkd evaluate` computes them.

    Args:
      images: several, as `predict` takes them; or a folder of them, CLASS/IMAGE.
      labels: int [N], from 0 to K - 1. A folder needs none.

    Returns:
      {metric: value}; shares lie in [0, 1].

    Raises:
      UserError: images cannot be used, or do not match the labels or the classes.

    Example:
      >>> student.evaluate(data.test.images, data.test.labels)['top1']  # doctest: +SKIP
      0.91
      >>> student.evaluate('photos')['top1']  # doctest: +SKIP
      0.87
    """
    # Here, as predictions need neither.
    from pidkd_jax.bundles import labelled_images
    from pidkd_jax.evaluation.evaluate import evaluate_metrics

    if labels is None:
      if not isinstance(images, str | pathlib.Path):
        raise UserError('no labels were given; give one for each image, or a folder of classes')
      folder = local_path.expanded('folder', images)
      split = labelled_images.of_folder(folder, self.class_names, self.reader)
    else:
      count = len(self.class_names)
      split = labelled_images.of_arrays(images, labels, count, self.image_shape, self.reader)
    metrics = evaluate_metrics({'network': self.network}, split, self.bundle.normalisation, None)
    return metrics['network']

  def save(self, folder: str | pathlib.Path) -> None:
    """Save the network as a bundle, which `kd.load` and the commands read.

    Args:
      folder: of the bundle. A bundle that lies there is replaced.

    Raises:
      UserError: the folder holds something else, or cannot be written.
    """
    place = local_path.expanded('folder', folder)
    files = (atomic_folder.MANIFEST, bundle.VARIABLES)  # Exports have a manifest, too.
    if place.exists() and not all((place / name).is_file() for name in files):
      raise UserError(f'{str(place)!r} is there already and is no bundle; name another folder')
    try:
      bundle.save(place, self.network, {k: v for k, v in self.card.items() if k != 'model'})
    except OSError as error:
      raise UserError(
        f'{str(place)!r} cannot be written: {error.strerror or error}; name another folder'
      ) from error
    self.bundle = dataclasses.replace(self.bundle, folder=place)

  def _in_batches(self, parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return float32 [N, K] of images [n, H, W, C], n at most BATCH_SIZE in each part."""
    logits, ahead = [np.empty((0, len(self.class_names)), np.float32)], collections.deque()
    with FLOAT32.scope():
      for part in parts:
        missing = next(size for size in _SIZES if size >= len(part)) - len(part)
        padded = np.pad(part, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else part
        ahead.append((_logits(self._network, padded, self._normalisation), len(part)))
        if len(ahead) > _AHEAD:
          logits.append(_fetched(*ahead.popleft()))
    return np.concatenate([*logits, *(_fetched(*one) for one in ahead)])


def _slices(images: np.ndarray) -> Iterator[np.ndarray]:
  return (images[i : i + BATCH_SIZE] for i in range(0, len(images), BATCH_SIZE))


def _pixels(reader: ImageReader) -> Iterator[np.ndarray]:
  """Yield the pixels of images; raise UserError at the end, with all that cannot be used."""
  refused = []
  for batch in reader.batches(BATCH_SIZE):
    refused += batch.refused
    if len(batch.pixels):
      yield batch.pixels
  if refused:
    raise image.unusable(refused)


def _fetched(logits: jax.Array, count: int) -> np.ndarray:
  return np.asarray(logits)[:count]


@jax.jit
def _logits(network: Network, images: jax.Array, normalisation: Normalisation) -> jax.Array:
  return network.classify(network.encode(normalisation(images)).pooled)


def load(folder: str | pathlib.Path, own: models.Own = ()) -> TrainedNetwork:
  """Load a bundle, to predict with it or to teach with it.

  Args:
    folder: of the bundle.
    own: a class of networks of your own that the bundle may hold, its 'module:Class', or several of
      these. No other code is imported.

  Raises:
    UserError: the folder is missing, incomplete, altered, or of an unknown network; or `own` is no
      class of networks.

  Example:
    >>> student = kd.load('runs/cifar100/bundles/pidkd-0')  # doctest: +SKIP
    >>> student.top(images, k=1)  # doctest: +SKIP
    [[('maple_tree', 0.93)]]
  """
  if not isinstance(folder, str | os.PathLike):
    raise UserError(f'the bundle is given as {type(folder).__name__}; give the path of its folder')
  return TrainedNetwork(bundle.load(local_path.expanded('bundle', folder), own))
