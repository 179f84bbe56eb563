"""The inference form of a network: each norm behind a convolution folded into it, once."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pidkd_jax.core.types import Network
from pidkd_jax.nn.layers import EPSILON, FUSED_NORMS


def fuse_norms(network: Network) -> Network:
  """The same network for inference, faster and equal within rounding.

  The BatchNorm of every `layers.ConvNorm` becomes a factor on the kernel and a bias. Whatever is
  none stays as it is, in a user's own network too. All is computed on the host, as compiling it
  for each shape takes longer.

  Args:
    network: with arrays for variables; one that is folded already is returned.

  Returns:
    A network whose variables have the collection 'folded' besides their own.
  """
  if FUSED_NORMS in network.variables:
    return network
  params, statistics = (
    traverse_util.flatten_dict(jax.device_get(network.variables.get(name, {})))
    for name in ('params', 'batch_stats')
  )
  folded = {}
  for *path, module, leaf in params:
    if (module, leaf) != ('norm', 'scale') or (*path, 'conv', 'kernel') not in params:
      continue
    mean, variance = (statistics[*path, 'norm', name] for name in ('mean', 'var'))
    scale = params[*path, 'norm', 'scale'] / np.sqrt(variance + np.float32(EPSILON))
    bias = params.get((*path, 'conv', 'bias'), 0)
    folded[*path, 'kernel'] = params[*path, 'conv', 'kernel'] * scale[..., None, None, None, :]
    folded[*path, 'bias'] = params[*path, 'norm', 'bias'] + (bias - mean) * scale
  tree = jax.tree.map(jnp.asarray, traverse_util.unflatten_dict(folded))
  return network.replace(variables={**network.variables, FUSED_NORMS: tree})
