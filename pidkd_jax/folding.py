"""The inference form of a network: each norm behind a convolution folded into it, once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util

from pidkd_jax import convolution
from pidkd_jax.layers import EPSILON, FOLDED, ConvNorm
from pidkd_jax.types import Network


def fold(network: Network, image_shape: tuple[int, int, int]) -> Network:
  """The same network for inference, faster and equal within rounding.

  A BatchNorm that follows a convolution becomes a factor on its kernel and a bias, and kernels
  that Winograd's algorithm takes are transformed. Whatever is no `layers.ConvNorm` stays as it
  is, in a user's own network too.

  Args:
    network: with arrays for variables; one that is folded already is returned.
    image_shape: (H, W, C).

  Returns:
    A network whose variables have the collection 'folded' besides their own.
  """
  if FOLDED in network.variables:
    return network
  params, statistics = (
    traverse_util.flatten_dict(jax.device_get(network.variables.get(name, {})))
    for name in ('params', 'batch_stats')
  )
  folded = {}
  for path, transformed in _layers(network.model, image_shape):
    kernel, bias = params[*path, 'conv', 'kernel'], params.get((*path, 'conv', 'bias'), 0)
    scale = params[*path, 'norm', 'scale'] / np.sqrt(
      statistics[*path, 'norm', 'var'] + np.float32(EPSILON)
    )
    kernel = kernel * scale[..., None, None, None, :]
    if transformed:
      folded[*path, 'transformed'] = convolution.winograd_kernel(kernel)
    else:
      folded[*path, 'kernel'] = kernel
    folded[*path, 'bias'] = (
      params[*path, 'norm', 'bias'] + (bias - statistics[*path, 'norm', 'mean']) * scale
    )
  tree = jax.tree.map(jnp.asarray, traverse_util.unflatten_dict(folded))
  return network.replace(variables={**network.variables, FOLDED: tree})


@functools.cache
def _layers(
  model: nn.Module, image_shape: tuple[int, int, int]
) -> tuple[tuple[tuple[str, ...], bool], ...]:
  """(path, whether its kernel is to be transformed) of every ConvNorm that an encoder calls."""
  found = {}

  def note(call, args, kwargs, context):
    layer = context.module
    if isinstance(layer, ConvNorm) and context.method_name == '__call__':
      found[layer.path] = layer.transforms(args[0].shape[-1])
    return call(*args, **kwargs)

  image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
  with nn.intercept_methods(note):
    jax.eval_shape(functools.partial(model.init, method='encode'), jax.random.key(0), image)
  return tuple(found.items())
