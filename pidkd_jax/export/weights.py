"""The folded variables as safetensors; the card beside them describes the network."""

import pathlib

import jax
import numpy as np
from flax import traverse_util

from pidkd_jax.core.types import Network, Variables
from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.format import Format, Run
from pidkd_jax.models.norm_fusion import fuse_norms
from pidkd_jax.nn.layers import FUSED_NORMS


def _write(deployable: Deployable, path: pathlib.Path) -> None:
  from safetensors.numpy import save

  flat = traverse_util.flatten_dict(_used(fuse_norms(deployable.bundle.network).variables), sep='/')
  # Of what is not contiguous safetensors writes the memory, in another order.
  path.write_bytes(save({name: np.ascontiguousarray(value) for name, value in flat.items()}))


def _used(variables: Variables) -> Variables:
  """Without the convolutions and norms that are folded."""
  flat = traverse_util.flatten_dict(variables)
  folded = {path[1:-1] for path in flat if path[0] == FUSED_NORMS}

  def left_out(collection, *path):
    return collection != FUSED_NORMS and path[-2] in ('conv', 'norm') and path[:-2] in folded

  kept = {path: value for path, value in flat.items() if not left_out(*path)}
  return traverse_util.unflatten_dict(kept)


def _open(path: pathlib.Path, deployable: Deployable) -> Run:
  from safetensors.numpy import load_file

  variables = traverse_util.unflatten_dict(load_file(path), sep='/')
  network = Network(variables, deployable.bundle.network.model)
  call = jax.jit(lambda network, images: network.classify(network.encode(images).pooled))
  return lambda images: np.asarray(call(network, images))


_RUN = """
from flax import traverse_util
from safetensors.numpy import load_file

from pidkd_jax import models
from pidkd_jax.core.types import Network


def run(images):
  variables = traverse_util.unflatten_dict(load_file(HERE / '{file}'), sep='/')
  network = Network(variables, models.build(CARD['model']))
  return network.classify(network.encode(images).pooled)
"""

FORMATS = {
  'weights': Format(
    file='model.safetensors',
    extra='safetensors',
    needs=('safetensors',),
    distributions=('safetensors',),
    write=_write,
    open=_open,
    run=_RUN,
    computes=False,
  )
}
