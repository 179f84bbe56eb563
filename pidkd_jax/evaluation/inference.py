"""A network over a whole split."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Network
from pidkd_jax.models import norm_fusion
from pidkd_jax.nn import resize
from pidkd_jax.nn.precision import FLOAT32
from pidkd_jax.parallel import devices

# One size for all, so that a bundle's numbers come out again to the last digit.
BATCH_SIZE = 256

# So many batches are under way before the result of the first is waited for; each holds its images.
_UNDER_WAY = 16


@dataclasses.dataclass(frozen=True, eq=False)
class EvalSplit:
  """A split, padded to whole batches.

  Attributes:
    images: uint8 [BATCH_SIZE, H, W, C] on the devices; what is past `size` is padding.
    normalisation: float32 arrays on the devices.
    size: N.
    adapt: what brings images of one shape to that which the network was trained with.
  """

  images: Iterable[jax.Array]
  normalisation: Normalisation
  size: int
  adapt: Callable[[jax.Array], jax.Array]

  def batches(self) -> Iterator[tuple[jax.Array, jax.Array]]:
    """(normalised images [BATCH_SIZE, H, W, C], which of them are real [BATCH_SIZE])."""
    for i, images in enumerate(self.images):
      real = np.arange(i * BATCH_SIZE, (i + 1) * BATCH_SIZE) < self.size
      yield _normalise(self.adapt(images), self.normalisation), jnp.asarray(real)


@jax.jit
def _normalise(images: jax.Array, normalisation: Normalisation) -> jax.Array:
  even = BATCH_SIZE % devices.count() == 0
  return (devices.shard_batch if even else devices.replicate)(normalisation(images))


def eval_split(
  examples: EvalSplit,
  normalisation: Normalisation,
  adapt: Callable[[jax.Array], jax.Array] = lambda images: images,
) -> EvalSplit:
  """A split for networks that were trained with `normalisation`; `adapt` is EvalSplit's."""
  return EvalSplit(
    images=examples.blocks(BATCH_SIZE),
    normalisation=devices.put_replicated(normalisation.arrays()),
    size=len(examples),
    adapt=adapt,
  )


@jax.jit
def _logits(network: Network, image: jax.Array) -> jax.Array:
  return devices.replicate(network.classify(network.encode(image).pooled))


def logits(network: Network, data: EvalSplit) -> np.ndarray:
  """Logits of every image of a split, float32 [N, K], in its order."""
  return _whole(_logits, network, data)


def _whole(function: Callable, network: Network, data: EvalSplit) -> np.ndarray:
  network = norm_fusion.fuse_norms(network)
  parts = []
  with FLOAT32.scope():
    for image, _ in data.batches():
      parts.append(function(network, image))
      _await(parts)
  return np.concatenate([np.asarray(part) for part in parts])[: data.size]


def _await(results: list) -> None:
  """Waits for the last but some of the results, so that no more batches are held."""
  if len(results) > _UNDER_WAY:
    jax.block_until_ready(results[-1 - _UNDER_WAY])


@jax.jit
def _pooled(network: Network, image: jax.Array) -> jax.Array:
  return devices.replicate(network.encode(image).pooled)


def pooled(network: Network, data: EvalSplit) -> np.ndarray:
  """What the classifier reads of every image of a split, float32 [N, C], in its order."""
  return _whole(_pooled, network, data)


@jax.jit
def _target(network: Network, image: jax.Array) -> jax.Array:
  return network.encode(image).target


@jax.jit
def _squares(
  network: Network, target: jax.Array, image: jax.Array, real: jax.Array
) -> tuple[jax.Array, jax.Array]:
  z, target = resize.match_resolution(network.encode(image).target, target)
  difference = jnp.sum(jnp.square(z - target), axis=(1, 2, 3))
  size = jnp.sum(jnp.square(target), axis=(1, 2, 3))
  return devices.replicate((jnp.sum(difference, where=real), jnp.sum(size, where=real)))


def alignment_errors(
  networks: Mapping[str, Network], teacher: Network, data: EvalSplit
) -> dict[str, float]:
  """||z - z_t||^2 / ||z_t||^2 over a split: 0 is the teacher's map itself, 1 no better than zero.

  Args:
    networks: each with a target map z made to equal the teacher's (`Model.aligned`).
    teacher: gives z_t, once for all; the larger of the two maps is averaged to the smaller's size.
    data: the split.

  Returns:
    By the networks' names.
  """
  teacher = norm_fusion.fuse_norms(teacher)
  networks = {name: norm_fusion.fuse_norms(network) for name, network in networks.items()}
  sums = {name: [] for name in networks}
  with FLOAT32.scope():
    for image, real in data.batches():
      target = _target(teacher, image)
      for name, network in networks.items():
        sums[name].append(_squares(network, target, image, real))
        _await(sums[name])
  errors = {}
  for name, parts in sums.items():
    difference, size = np.sum(np.asarray(parts, np.float64), axis=0)
    errors[name] = float(difference / size)
  return errors
