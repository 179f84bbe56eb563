"""Fusion of a student's q projectors: shared work runs once, and no layer is stacked."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import softmax

from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from pidkd_jax.models.norm_fusion import fuse_norms
from pidkd_jax.nn.layers import FUSED_NORMS
from pidkd_jax.nn.projectors import FUSED_PROJECTORS


def fuse_projectors(network: Network, image_shape: Sequence[int]) -> Network:
  """Fuse a network's norms (`fuse_norms`), and its projectors as far as they are one function.

  The first convolutions of the q projectors read one map, so they become one convolution with
  q * m outputs. The second ones stay q. The integration's weights w_i go into the last ones, as
  w ReLU(z) = ReLU(w z) for w >= 0, and their outputs are summed. Without a last ReLU, that sum is
  itself one convolution of the q maps side by side.

  Args:
    network: a `Distilled` network; of any other, only the norms are fused.
    image_shape: (H, W, C) of its images.

  Returns:
    The network with the collection `projectors.FUSED_PROJECTORS` beside those of `fuse_norms`.
  """
  network = fuse_norms(network, image_shape)
  model = network.model
  if not isinstance(model, Distilled) or FUSED_PROJECTORS in network.variables:
    return network
  stack = jax.device_get(network.variables[FUSED_NORMS]['projectors']['projectors'])
  # The mean is a softmax of zeros.
  learned = network.variables['params']['projectors'].get('integrate', {})
  weights = softmax(np.asarray(learned.get('logits', np.zeros(model.num_projectors, np.float32))))
  expand = {
    leaf: value * weights.reshape(-1, *[1] * (value.ndim - 1))
    for leaf, value in stack['expand'].items()
  }
  fused = {
    'reduce': {leaf: np.concatenate(value, axis=-1) for leaf, value in stack['reduce'].items()},
    **_unstack('transform', stack['transform']),
  }
  if model.target_rectified:
    fused |= _unstack('expand', expand)
  else:
    kernel = np.concatenate(expand['kernel'], axis=-2)
    fused['expand'] = {'kernel': kernel, 'bias': expand['bias'].sum(axis=0)}
  tree = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), fused)
  return network.replace(variables={**network.variables, FUSED_PROJECTORS: {'projectors': tree}})


def _unstack(name: str, layers: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
  """Return q stacked layers as {'NAME_0': layer, ..., 'NAME_{q-1}': layer}."""
  return {
    f'{name}_{i}': {leaf: value[i] for leaf, value in layers.items()}
    for i in range(len(layers['bias']))
  }
