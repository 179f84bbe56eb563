"""Fusion of each BatchNorm into the convolution before it, for inference."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pidkd_jax.core.types import Variables
from pidkd_jax.models.network import Network
from pidkd_jax.nn.layers import FUSED_NORMS


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
  params, statistics = (
    _on_host(network.variables.get(name, {})) for name in ('params', 'batch_stats')
  )
  fused = {}
  for *path, module, leaf in params:
    # A LayerNorm has no statistics.
    if (module, leaf) != ('norm', 'scale') or (*path, 'norm', 'mean') not in statistics:
      continue
    if (*path, 'conv', 'kernel') not in params:
      continue
    mean, variance = (statistics[*path, 'norm', name] for name in ('mean', 'var'))
    epsilon = np.float32(network.model.norm_epsilon(tuple(path)))
    scale = params[*path, 'norm', 'scale'] / np.sqrt(variance + epsilon)
    bias = params.get((*path, 'conv', 'bias'), 0)
    fused[*path, 'kernel'] = params[*path, 'conv', 'kernel'] * scale[..., None, None, None, :]
    fused[*path, 'bias'] = params[*path, 'norm', 'bias'] + (bias - mean) * scale
  tree = jax.tree.map(jnp.asarray, traverse_util.unflatten_dict(fused))
  return network.replace(variables={**network.variables, FUSED_NORMS: tree})


def _on_host(collection: Variables) -> dict[tuple[str, ...], Any]:
  """Return the arrays of a collection on the host, by path."""
  return traverse_util.flatten_dict(jax.device_get(collection))
