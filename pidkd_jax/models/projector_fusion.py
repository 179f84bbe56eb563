"""A student with its q projectors joined: what they share runs once, and nothing is stacked."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import softmax

from pidkd_jax.core.types import Network
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.norm_fusion import fuse_norms
from pidkd_jax.nn.layers import FUSED_NORMS
from pidkd_jax.nn.projectors import FUSED_PROJECTORS


def fuse_projectors(network: Network) -> Network:
  """The same network, folded, with its q projectors joined as far as they are one function.

  The q first convolutions read one map and become one with q * m outputs. Those between stay q.
  The weights w_i of the integration go into the last ones, as w ReLU(z) = ReLU(w z) for w >= 0:
  their outputs are summed. Without a last ReLU that sum is itself one convolution, of the q maps
  side by side.

  Args:
    network: of a student with projectors; any other is only folded.

  Returns:
    A network whose variables have the collection 'joined' besides those of `fuse_norms`.
  """
  network = fuse_norms(network)
  model = network.model
  if not isinstance(model, Distilled) or FUSED_PROJECTORS in network.variables:
    return network
  stack = jax.device_get(network.variables[FUSED_NORMS]['projectors']['projectors'])
  # A softmax of zeros, where the mean integrates, is the mean.
  learned = network.variables['params']['projectors'].get('integrate', {})
  weights = softmax(np.asarray(learned.get('logits', np.zeros(model.num_projectors, np.float32))))

  def scaled(part):
    return {
      name: value * weights.reshape(-1, *[1] * (value.ndim - 1)) for name, value in part.items()
    }

  expand = scaled(stack['expand'])
  joined = {
    'reduce': {name: np.concatenate(value, axis=-1) for name, value in stack['reduce'].items()},
    **_apart('transform', stack['transform']),
  }
  if model.target_rectified:
    joined |= _apart('expand', expand)
  else:
    kernel = np.concatenate(expand['kernel'], axis=-2)
    joined['expand'] = {'kernel': kernel, 'bias': expand['bias'].sum(axis=0)}
  tree = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), joined)
  return network.replace(variables={**network.variables, FUSED_PROJECTORS: {'projectors': tree}})


def _apart(name: str, part: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
  """The q layers of a stack, each under a name of its own."""
  return {
    f'{name}_{i}': {leaf: value[i] for leaf, value in part.items()}
    for i in range(len(part['bias']))
  }
