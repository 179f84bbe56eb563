"""Fusion of each BatchNorm into the convolution before it, for inference."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct, traverse_util

from pidkd_jax.models.network import Network
from pidkd_jax.nn.layers import FUSED_NORMS, ConvNorm

_Path = tuple[str, ...]


def fuse_norms(network: Network, image_shape: Sequence[int]) -> Network:
  """Fuse the BatchNorm of every `layers.ConvNorm` into its convolution.

  The norm becomes a factor on the kernel and a bias: inference is faster and alters results only
  by rounding. Other layers, and those of a user's own model, stay as they are. The host computes
  the fused variables, as compiling the computation for each shape takes longer.

  Args:
    network: its variables are arrays, not shapes. A fused network is returned unchanged.
    image_shape: (H, W, C) of its images. The network is traced with one to find its layers.

  Returns:
    The network with the collection `layers.FUSED_NORMS` beside its own variables.
  """
  if FUSED_NORMS in network.variables:
    return network
  layers = _layers(network, image_shape)
  params, statistics = (
    jax.device_get({path: leaf for path, leaf in tree.items() if path[:-2] in layers})
    for tree in _by_path(network)
  )
  fused = {}
  # The weights of a member that diverged may overflow. Its evaluation tells.
  with np.errstate(over='ignore', invalid='ignore'):
    for path, epsilon in layers.items():
      mean, variance = (statistics[*path, 'norm', name] for name in ('mean', 'var'))
      scale = params[*path, 'norm', 'scale'] / np.sqrt(variance + np.float32(epsilon))
      bias = params.get((*path, 'conv', 'bias'), 0)
      fused[*path, 'kernel'] = params[*path, 'conv', 'kernel'] * scale[..., None, None, None, :]
      fused[*path, 'bias'] = params[*path, 'norm', 'bias'] + (bias - mean) * scale
  # `jnp.asarray` would compile a program for each shape.
  return _with_fused(network, jax.device_put(fused))


def fused_shapes(network: Network, image_shape: Sequence[int]) -> Network:
  """Return the shapes of what `fuse_norms` makes of a network of shapes."""
  if FUSED_NORMS in network.variables:
    return network
  return _with_fused(network, _shapes(network, _layers(network, image_shape)))


class _Found(struct.PyTreeNode):
  """The layers whose norm can be fused, as a result of a traced function.

  Attributes:
    epsilons: the path of each layer, and the epsilon of its norm.
  """

  epsilons: tuple[tuple[_Path, float], ...] = struct.field(pytree_node=False)


def _layers(network: Network, image_shape: Sequence[int]) -> dict[_Path, float]:
  """Return {path: epsilon} of the layers whose norm can be fused. JAX keeps the trace."""
  possible = _shapes(network, _possible_layers(network))
  if not possible:
    return {}
  image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
  return dict(jax.eval_shape(_find, _with_fused(network, possible), image).epsilons)


@jax.jit
def _find(network: Network, image: jax.Array) -> _Found:
  """Run a network, and note each layer that reads one of its fused variables."""
  epsilons = {}

  def note(call, arguments, settings, context):
    module = context.module
    if isinstance(module, ConvNorm) and module.has_variable(FUSED_NORMS, 'bias'):
      epsilons[module.path] = module.epsilon
    return call(*arguments, **settings)

  with nn.intercept_methods(note):
    network.classify(network.encode(image).pooled)
  return _Found(tuple(epsilons.items()))


def _possible_layers(network: Network) -> list[_Path]:
  """Return the paths at which variables lie that are named like those of a `ConvNorm`."""
  params, statistics = _by_path(network)
  return [
    tuple(path)
    for *path, module, leaf in params
    # A LayerNorm has no statistics.
    if (module, leaf) == ('norm', 'bias')
    and (*path, 'norm', 'mean') in statistics
    and (*path, 'conv', 'kernel') in params
  ]


def _shapes(network: Network, layers: Iterable[_Path]) -> dict[_Path, jax.ShapeDtypeStruct]:
  """Return the shapes of fused variables by path."""
  params, _ = _by_path(network)
  shapes = {}
  for path in layers:
    for name, like in (('kernel', (*path, 'conv', 'kernel')), ('bias', (*path, 'norm', 'bias'))):
      shapes[*path, name] = jax.ShapeDtypeStruct(params[like].shape, params[like].dtype)
  return shapes


def _by_path(network: Network) -> tuple[dict[_Path, Any], dict[_Path, Any]]:
  """Return a network's parameters and statistics by path."""
  params, statistics = (
    traverse_util.flatten_dict(network.variables.get(name, {}))
    for name in ('params', 'batch_stats')
  )
  return params, statistics


def _with_fused(network: Network, fused: Mapping[_Path, Any]) -> Network:
  tree = traverse_util.unflatten_dict(fused)
  return network.replace(variables={**network.variables, FUSED_NORMS: tree})
