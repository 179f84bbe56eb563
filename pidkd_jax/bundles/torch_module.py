"""Turn a PyTorch classifier of any architecture into a network of this package."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.bundles import torch_bridge, torch_libraries, torch_maps
from pidkd_jax.bundles.torch_libraries import Library
from pidkd_jax.core.errors import UserError, first_line, listed
from pidkd_jax.models import exported_function
from pidkd_jax.models.exported import Exported
from pidkd_jax.models.network import Network
from pidkd_jax.nn.precision import FLOAT32

# Between our outputs and PyTorch's, over the largest of PyTorch's.
TOLERANCE = 1e-4
_IMAGES = 3


@dataclasses.dataclass(frozen=True)
class Converted:
  """A PyTorch classifier as a network.

  Attributes:
    network: its model is `Exported`.
    difference: the largest between its outputs and PyTorch's, over the largest of PyTorch's.
    places: PyTorch's modules whose outputs are the maps, the target's last.
    target_shape: (H, W, C) of the target map.
  """

  network: Network
  difference: float
  places: tuple[torch_maps.Place, ...]
  target_shape: tuple[int, ...]


def with_weights(
  library: Library, name: str, state: Mapping[str, np.ndarray], image_size: int | None
) -> tuple[Any, list[str]]:
  """Create a library's network with the weights of a checkpoint.

  The number of classes is the checkpoint's.

  Args:
    library: of `torch_libraries.LIBRARIES`.
    name: of the network in it.
    state: {PyTorch's key: array}.
    image_size: side of the images, None for the network's own.

  Returns:
    The network, and what was done to the checkpoint, a line each.

  Raises:
    UserError: there is no such network, or the checkpoint is of another one.
  """
  import torch

  tensors: dict[str, Any] = {
    key: torch.tensor(np.asarray(value, np.float32 if value.dtype.kind not in 'iub' else None))
    for key, value in state.items()
  }
  module = library.create(name, None, image_size, pretrained=False)
  versions = {'': tensors}
  if mismatch := _mismatch(module, tensors):
    adapted = torch_libraries.adapted(module, tensors)
    versions |= {f'{library.title} adapted the checkpoint to this network': adapted}
    counts = [_other_classes(module, version) for version in versions.values()]
    if count := next(filter(None, counts), None):
      module = library.create(name, count, image_size, pretrained=False)
  fitting = [(note, v) for note, v in versions.items() if not _mismatch(module, v)]
  if not fitting:
    raise UserError(f'the checkpoint is not of {library.title}/{name}: {mismatch}')
  note, fitted = fitting[0]
  broken = [key for key, value in fitted.items() if not bool(torch.isfinite(value).all())]
  if broken:
    raise UserError(
      f'the checkpoint holds values that are not finite, in {listed(broken, 5)}; take an earlier '
      'one'
    )
  # A checkpoint may lack the counters of norms, which inference does not read.
  module.load_state_dict(fitted, strict=False)
  return module, [note] if note else []


def convert(module: Any, title: str, image_shape: tuple[int, int, int]) -> Converted:
  """Convert a PyTorch classifier, and compare the result with it on random images.

  Args:
    module: in evaluation mode; images [B, C, H, W] in, logits [B, K] out.
    title: of the network, for messages.
    image_shape: (H, W, C) of the images.

  Raises:
    UserError: the module refuses such images, has no linear classifier, does something that torchax
      cannot trace, or answers differently in JAX.
  """
  shape = (_IMAGES, image_shape[2], *image_shape[:2])
  images = np.random.default_rng(0).standard_normal(shape, np.float32)
  found = torch_maps.find(module, images, title)
  try:
    content, weights, count = torch_bridge.export(module, found.places, image_shape)
  except UserError:
    raise
  except Exception as error:  # A network may do anything.
    raise UserError(
      f'{title} does something that torchax cannot express in JAX '
      f'({type(error).__name__}: {first_line(error)[:200]}); take another network'
    ) from error
  model = Exported(
    num_classes=found.logits.shape[1],
    function=exported_function.register(content),
    target_rectified=found.rectified,
    multiply_adds=count,
  )
  network = Network(_variables(weights, _classifier(module, found.classifier)), model)
  target = exported_function.find(model.function).exported.out_avals[-1].shape[1:]
  return Converted(network, _difference(network, images, found, title), found.places, target)


def _mismatch(module: Any, tensors: Mapping[str, Any]) -> str:
  expected = module.state_dict()
  kinds = {
    'missing': [k for k in expected if k not in tensors and not k.endswith('num_batches_tracked')],
    'surplus': [k for k in tensors if k not in expected],
    'misshapen': [
      f'{k} {list(tensors[k].shape)}'
      for k in expected
      if k in tensors and tensors[k].shape != expected[k].shape
    ],
  }
  return '; '.join(f'{kind}: {listed(names, 4)}' for kind, names in kinds.items() if names)


def _other_classes(module: Any, tensors: Mapping[str, Any]) -> int | None:
  """Return the checkpoint's number of classes where only that differs from the network's."""
  import torch

  linear = {name for name, m in module.named_modules() if isinstance(m, torch.nn.Linear)}
  expected = module.state_dict()
  odd = [k for k in expected if k in tensors and tensors[k].shape != expected[k].shape]
  sizes = {tensors[k].shape[0] for k in odd if k.rpartition('.')[0] in linear}
  inputs = all(tensors[k].shape[1:] == expected[k].shape[1:] for k in odd)
  return sizes.pop() if len(sizes) == 1 and inputs else None


def _classifier(module: Any, name: str) -> dict[str, Any]:
  layer = dict(module.named_modules())[name]
  kernel = layer.weight.detach().numpy().T
  bias = np.zeros(len(layer.weight)) if layer.bias is None else layer.bias.detach().numpy()
  return {'linear': {'kernel': jnp.asarray(kernel), 'bias': jnp.asarray(bias, jnp.float32)}}


def _variables(weights: torch_bridge.Weights, classifier: dict[str, Any]) -> dict[str, Any]:
  arrays = {name: {k: jnp.asarray(v) for k, v in part.items()} for name, part in weights.items()}
  variables = {name: {'encoder': part} for name, part in arrays.items() if part}
  return {**variables, 'params': {**variables.get('params', {}), 'classifier': classifier}}


def _difference(network: Network, images: np.ndarray, found: torch_maps.Found, title: str) -> float:
  """Return the largest relative difference to PyTorch's outputs; raise UserError if it is large."""

  @jax.jit
  def outputs(network: Network, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    pooled = network.encode(images).pooled
    return pooled, network.classify(pooled)

  with FLOAT32.scope():
    ours = outputs(network, jnp.asarray(images.transpose(0, 2, 3, 1)))
  worst = max(
    float(np.abs(np.asarray(a) - b).max() / np.abs(b).max())
    for a, b in zip(ours, (found.pooled, found.logits), strict=True)
  )
  if not worst <= TOLERANCE:
    raise UserError(
      f'{title} answers differently in JAX: outputs differ from those of PyTorch by {worst:.1e} of '
      f'the largest, and {TOLERANCE:.0e} is allowed; take another network'
    )
  return worst
