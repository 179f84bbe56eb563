"""Fusion of each BatchNorm into the convolution before it, for inference."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pidkd_jax.core.types import Variables
from pidkd_jax.models.network import Network
from pidkd_jax.nn.layers import FUSED_NORMS

_COLLECTIONS = ('params', 'batch_stats')

_Path = tuple[str, ...]


def fuse_norms(network: Network) -> Network:
  """Fuse the BatchNorm of every `layers.ConvNorm` into its convolution.

  The norm becomes a factor on the kernel and a bias: inference is faster and alters results only
  by rounding. Other layers, and those of a user's own model, stay as they are. The host computes
  the fused variables, as compiling the computation for each shape takes longer.

  Args:
    network: its variables are arrays, not shapes. A fused network is returned unchanged.

  Returns:
    The network with the collection `layers.FUSED_NORMS` beside its own variables.
  """
  if FUSED_NORMS in network.variables:
    return network
  params, statistics = (_on_host(_collection(network, name)) for name in _COLLECTIONS)
  fused = {}
  # The weights of a member that diverged may overflow. Its evaluation tells.
  with np.errstate(over='ignore', invalid='ignore'):
    for path in _layers(params, statistics):
      mean, variance = (statistics[*path, 'norm', name] for name in ('mean', 'var'))
      epsilon = np.float32(network.model.norm_epsilon(path))
      scale = params[*path, 'norm', 'scale'] / np.sqrt(variance + epsilon)
      bias = params.get((*path, 'conv', 'bias'), 0)
      fused[*path, 'kernel'] = params[*path, 'conv', 'kernel'] * scale[..., None, None, None, :]
      fused[*path, 'bias'] = params[*path, 'norm', 'bias'] + (bias - mean) * scale
  return _with_fused(network, jax.tree.map(jnp.asarray, fused))


def fused_shapes(network: Network) -> Network:
  """Return the shapes of what `fuse_norms` makes of a network of shapes."""
  if FUSED_NORMS in network.variables:
    return network
  params, statistics = (_by_path(_collection(network, name)) for name in _COLLECTIONS)
  fused = {}
  for path in _layers(params, statistics):
    for name, like in (('kernel', (*path, 'conv', 'kernel')), ('bias', (*path, 'norm', 'bias'))):
      fused[*path, name] = jax.ShapeDtypeStruct(params[like].shape, params[like].dtype)
  return _with_fused(network, fused)


def _layers(params: Mapping[_Path, Any], statistics: Mapping[_Path, Any]) -> list[_Path]:
  """Return the paths of the layers whose norm can be fused."""
  return [
    tuple(path)
    for *path, module, leaf in params
    # A LayerNorm has no statistics.
    if (module, leaf) == ('norm', 'scale')
    and (*path, 'norm', 'mean') in statistics
    and (*path, 'conv', 'kernel') in params
  ]


def _collection(network: Network, name: str) -> Variables:
  return network.variables.get(name, {})


def _on_host(collection: Variables) -> dict[_Path, Any]:
  """Return the arrays of a collection on the host, by path."""
  return _by_path(jax.device_get(collection))


def _by_path(collection: Variables) -> dict[_Path, Any]:
  return traverse_util.flatten_dict(collection)


def _with_fused(network: Network, fused: Mapping[_Path, Any]) -> Network:
  tree = traverse_util.unflatten_dict(fused)
  return network.replace(variables={**network.variables, FUSED_NORMS: tree})
