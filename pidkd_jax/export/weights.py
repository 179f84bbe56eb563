"""Weights alone, as safetensors."""

import pathlib

import jax
import numpy as np
from flax import traverse_util

from pidkd_jax.core.types import Variables
from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.format import Format, Runner
from pidkd_jax.models.network import Network
from pidkd_jax.models.norm_fusion import fuse_norms
from pidkd_jax.nn.layers import FUSED_NORMS
from pidkd_jax.nn.precision import FLOAT32


class Weights(Format):
  """The network's variables with fused norms, as a safetensors file.

  Names are 'collection/module/.../leaf'. The card beside the file describes the architecture, so
  this package builds the network and runs it; other programs can read the arrays. This package's
  own model computes the logits that are compared, from the file's arrays and in exact float32.
  """

  file = 'model.safetensors'
  modules = distributions = ('safetensors',)
  example = """
import jax
from flax import traverse_util
from safetensors.numpy import load_file

from pidkd_jax import models
from pidkd_jax.models.network import Network


def run(images):
  variables = traverse_util.unflatten_dict(load_file(HERE / '{file}'), sep='/')
  network = Network(variables, models.build(CARD['model']{own}))
  # JAX's own default is TF32 on GPUs, and bfloat16 on TPUs.
  with jax.default_matmul_precision('highest'):
    return network.classify(network.encode(images).pooled)
"""
  executable = False

  def write(self, deployable: Deployable, path: pathlib.Path) -> None:
    """Write the variables that inference with fused norms uses."""
    from safetensors.numpy import save

    fused = fuse_norms(deployable.bundle.network, deployable.image_shape)
    variables = _without_unfused(fused.variables)
    flat = traverse_util.flatten_dict(variables, sep='/')
    # safetensors writes an array's memory as it lies, so it must be contiguous.
    path.write_bytes(save({name: np.ascontiguousarray(value) for name, value in flat.items()}))

  def load(self, path: pathlib.Path, deployable: Deployable) -> Runner:
    """Return a function that runs the bundle's model with the file's variables."""
    from safetensors.numpy import load_file

    variables = traverse_util.unflatten_dict(load_file(path), sep='/')
    network = Network(variables, deployable.bundle.network.model)
    call = jax.jit(lambda network, images: network.classify(network.encode(images).pooled))

    def run(images: np.ndarray) -> np.ndarray:
      with FLOAT32.scope():
        return np.asarray(call(network, images))

    return run


def _without_unfused(variables: Variables) -> Variables:
  """Return the variables without the convolutions and norms that have a fused counterpart."""
  flat = traverse_util.flatten_dict(variables)
  fused = {path[1:-1] for path in flat if path[0] == FUSED_NORMS}

  def is_unfused(collection, *path):
    return collection != FUSED_NORMS and path[-2] in ('conv', 'norm') and path[:-2] in fused

  kept = {path: value for path, value in flat.items() if not is_unfused(*path)}
  return traverse_util.unflatten_dict(kept)


FORMATS = {'weights': Weights()}
