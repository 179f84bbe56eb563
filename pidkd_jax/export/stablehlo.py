"""StableHLO."""

import pathlib

import jax
import numpy as np
from jax import export as jax_export

from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.format import Format, Runner
from pidkd_jax.models.exported_function import PLATFORMS
from pidkd_jax.nn import convolution
from pidkd_jax.nn.precision import FLOAT32


class StableHlo(Format):
  """A serialised `jax.export` artefact: one StableHLO module for CPU, CUDA and TPU.

  It holds the computation for any batch size, in exact float32 on every platform. 3x3 convolutions
  run by Winograd's formulation on CPUs only; the module chooses by platform. JAX runs it, without
  this package. JAX computes the logits that are compared, on its default device.
  """

  file = 'model.stablehlo'
  modules = ('flatbuffers',)
  distributions = ('jaxlib', 'flatbuffers')
  imported = True
  example = """
import jax
from jax import export


def run(images):
  return jax.jit(export.deserialize(bytearray((HERE / '{file}').read_bytes())).call)(images)
"""

  def write(self, deployable: Deployable, path: pathlib.Path) -> None:
    """Lower a network for all platforms and serialise the result."""
    shape = jax_export.symbolic_shape(f'b, {", ".join(map(str, deployable.input_shape))}')
    image = jax.ShapeDtypeStruct(shape, deployable.dtype)
    # Precision is part of the module: it must use neither TF32 nor bfloat16 on any platform.
    with FLOAT32.scope(), convolution.portable():
      exported = jax_export.export(jax.jit(deployable.__call__), platforms=PLATFORMS)(image)
    path.write_bytes(exported.serialize())

  def load(self, path: pathlib.Path, deployable: Deployable) -> Runner:
    """Return a function that runs an artefact on JAX's default device."""
    del deployable
    call = jax.jit(jax_export.deserialize(bytearray(path.read_bytes())).call)
    return lambda images: np.asarray(call(images))


FORMATS = {'stablehlo': StableHlo()}
