"""Run networks over a whole split: logits, pooled features, alignment with a teacher."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.models import norm_fusion
from pidkd_jax.models.network import Network
from pidkd_jax.nn import precision, resize
from pidkd_jax.nn.layers import FUSED_NORMS
from pidkd_jax.nn.precision import FLOAT32, Precision
from pidkd_jax.parallel import devices

# One size for all networks, so that a bundle's figures are reproduced to the last digit.
BATCH_SIZE = 256

# Batches whose results may be outstanding. Each of them holds its images.
_MAX_PENDING = 16


@dataclasses.dataclass(frozen=True, eq=False)
class EvalBatches:
  """A split in batches, the last one padded.

  Attributes:
    images: batches uint8 [BATCH_SIZE, H, W, C] on the devices, of `size` images and padding.
    image_shape: (H, W, C).
    normalisation: float32 arrays on the devices.
    size: N, the number of images.
    adapt: changes images to the shape that the network was trained with.
    precision: in which networks compute. All that is reported comes from float32.
  """

  images: Iterable[jax.Array]
  image_shape: tuple[int, int, int]
  normalisation: Normalisation
  size: int
  adapt: Callable[[jax.Array], jax.Array]
  precision: Precision = FLOAT32

  @property
  def input_shape(self) -> tuple[int, ...]:
    """(H, W, C) of the images that the network sees."""
    stored = jax.ShapeDtypeStruct((1, *self.image_shape), jnp.uint8)
    return jax.eval_shape(self.adapt, stored).shape[1:]

  def __iter__(self) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Yield (normalised images [BATCH_SIZE, H, W, C], mask of those that are no padding)."""
    for i, images in enumerate(self.images):
      real = np.arange(i * BATCH_SIZE, (i + 1) * BATCH_SIZE) < self.size
      normalised = _normalise(self.adapt(images), self.normalisation, self.precision.dtype)
      yield normalised, jnp.asarray(real)

  def in_precision(self, name: str) -> 'EvalBatches':
    """Return the same images for networks that compute in another precision."""
    other = precision.find(name)
    return self if other is self.precision else dataclasses.replace(self, precision=other)

  def programs(self, networks: Iterable[Network]) -> list[Callable[[], jax.stages.Lowered]]:
    """Return functions that lower the programs that `logits` calls, each once.

    Nothing is traced before they are called.

    Args:
      networks: as shapes; those whose programs are equal count once.
    """
    stored = jax.ShapeDtypeStruct((BATCH_SIZE, *self.image_shape), jnp.uint8)
    images = devices.replicated_shapes(stored)

    def normalise() -> jax.stages.Lowered:
      with self.precision.scope():
        return _normalise.lower(images, self.normalisation, self.precision.dtype)

    def infer(network: Network) -> jax.stages.Lowered:
      image = jax.ShapeDtypeStruct(stored.shape, self.precision.dtype)
      placed = (devices.sharded_shapes if _is_even() else devices.replicated_shapes)(image)
      with self.precision.scope():
        fused = norm_fusion.fused_shapes(network, self.input_shape)
        return _logits.lower(devices.replicated_shapes(fused), placed)

    distinct = {jax.tree.structure(network): network for network in networks}
    return [normalise, *(functools.partial(infer, network) for network in distinct.values())]


@functools.partial(jax.jit, static_argnums=2)
def _normalise(images: jax.Array, normalisation: Normalisation, dtype: jnp.dtype) -> jax.Array:
  place = devices.shard_batch if _is_even() else devices.replicate
  return place(normalisation(images).astype(dtype))


def _is_even() -> bool:
  """Whether the devices share a batch evenly."""
  return BATCH_SIZE % devices.count() == 0


def eval_batches(
  split: Split,
  normalisation: Normalisation,
  adapt: Callable[[jax.Array], jax.Array] = lambda images: images,
) -> EvalBatches:
  """Return a split in batches for evaluation.

  Args:
    split: N images.
    normalisation: the one that the network was trained with.
    adapt: changes images to the shape that the network was trained with, as `probe.adapt` does.

  Example:
    >>> from pidkd_jax.data import noise
    >>> data = noise.dataset(size=64, image_size=8, num_classes=10)
    >>> batches = eval_batches(data.test, data.spec.normalisation)
    >>> [images.shape for images, mask in batches]
    [(256, 8, 8, 3)]
  """
  return EvalBatches(
    images=split.blocks(BATCH_SIZE),
    image_shape=split.image_shape,
    normalisation=devices.put_replicated(normalisation.arrays()),
    size=len(split),
    adapt=adapt,
  )


def distillation_batches(
  split: Split, normalisation: Normalisation
) -> tuple[EvalBatches, EvalBatches]:
  """Return a split in batches as students see it, and as the teacher does.

  They are one object where students and teacher see images of one size.

  Args:
    split: N images.
    normalisation: the one that students and teacher were trained with.
  """
  batches = eval_batches(split, normalisation)
  return batches, eval_batches(split.larger, normalisation) if split.size else batches


def logits(network: Network, batches: EvalBatches) -> np.ndarray:
  """Return the logits of every image in the split's order, float32 [N, K]."""
  return _map(_logits, network, batches)


@jax.jit
def _logits(network: Network, image: jax.Array) -> jax.Array:
  return devices.replicate(network.classify(network.encode(image).pooled))


def pooled(network: Network, batches: EvalBatches) -> np.ndarray:
  """Return the classifier's input for every image in the split's order, float32 [N, C]."""
  return _map(_pooled, network, batches)


@jax.jit
def _pooled(network: Network, image: jax.Array) -> jax.Array:
  return devices.replicate(network.encode(image).pooled)


def _map(function: Callable, network: Network, batches: EvalBatches) -> np.ndarray:
  """Apply a function of network and images to every batch, and join the results."""
  network = _fused(network, batches)
  parts = []
  with batches.precision.scope():
    for image, _ in batches:
      parts.append(function(network, image))
      _limit_pending(parts)
  return np.concatenate([np.asarray(part) for part in parts])[: batches.size]


def _fused(network: Network, batches: EvalBatches) -> Network:
  """Return a network with its norms fused, on every device."""
  fused = norm_fusion.fuse_norms(network, batches.input_shape)
  put = devices.put_replicated(fused.variables[FUSED_NORMS])
  return fused.replace(variables={**fused.variables, FUSED_NORMS: put})


def _limit_pending(results: list) -> None:
  """Wait until at most `_MAX_PENDING` of the results are outstanding."""
  if len(results) > _MAX_PENDING:
    jax.block_until_ready(results[-1 - _MAX_PENDING])


def alignment_errors(
  networks: Mapping[str, Network],
  teacher: Network,
  batches: EvalBatches,
  teacher_batches: EvalBatches | None = None,
) -> dict[str, float]:
  """Compute each network's alignment error, ||z - z_t||^2 / ||z_t||^2 over a split.

  An error of 0 means that z is the teacher's map itself. An error of 1 is no better than zeros.

  Args:
    networks: {name: network}, each with a target map z made to equal the teacher's
      (`Model.aligned`).
    teacher: gives z_t, once for all networks. The larger of the two maps is averaged to the size
      of the smaller.
    batches: the split.
    teacher_batches: the split as the teacher sees it; None where that is `batches`.

  Returns:
    {name: error}; nothing where the teacher's map is zero everywhere, as no ratio is defined then.

  Raises:
    UserError: a network's map has other channels than the teacher's.
  """
  theirs = batches if teacher_batches is None else teacher_batches
  teacher = _fused(teacher, theirs)
  networks = {name: _fused(network, batches) for name, network in networks.items()}
  sums = {name: [] for name in networks}
  with FLOAT32.scope():
    # One pass over the split where both see the same images.
    same = theirs is batches
    pairs = ((b, b) for b in batches) if same else zip(batches, theirs, strict=True)
    for (image, real), (seen, _) in pairs:
      target = _target(teacher, seen)
      for name, network in networks.items():
        sums[name].append(_squares(network, target, image, real))
        _limit_pending(sums[name])
  errors = {}
  for name, parts in sums.items():
    difference, size = np.sum(np.asarray(parts, np.float64), axis=0)
    if size:
      errors[name] = float(difference / size)
  return errors


@jax.jit
def _target(network: Network, image: jax.Array) -> jax.Array:
  return network.encode(image).target


@jax.jit
def _squares(
  network: Network, target: jax.Array, image: jax.Array, real: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Return ||z - z_t||^2 and ||z_t||^2 over the real images of a batch, two scalars."""
  z = network.encode(image).target
  if z.shape[-1] != target.shape[-1]:
    raise UserError(
      f'the network imitates a map of {z.shape[-1]} channels, and that of the teacher has '
      f'{target.shape[-1]}; give the `teacher` that it learned from'
    )
  z, target = resize.match_resolution(z, target)
  difference = jnp.sum(jnp.square(z - target), axis=(1, 2, 3))
  size = jnp.sum(jnp.square(target), axis=(1, 2, 3))
  return devices.replicate((jnp.sum(difference, where=real), jnp.sum(size, where=real)))
