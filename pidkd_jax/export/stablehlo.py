"""A serialised `jax.export` artefact: StableHLO for CPU, CUDA and TPU at once, any batch size."""

import pathlib

import jax
import numpy as np
from jax import export as jax_export

from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.format import Format, Run
from pidkd_jax.nn import convolution
from pidkd_jax.nn.precision import FLOAT32

PLATFORMS = ('cpu', 'cuda', 'tpu')


def _write(deployable: Deployable, path: pathlib.Path) -> None:
  shape = jax_export.symbolic_shape(f'b, {", ".join(map(str, deployable.image_shape))}')
  image = jax.ShapeDtypeStruct(shape, deployable.dtype)
  # What multiplies in TF32 or bfloat16 elsewhere does not in this file.
  with FLOAT32.scope(), convolution.portable():
    exported = jax_export.export(jax.jit(deployable.__call__), platforms=PLATFORMS)(image)
  path.write_bytes(exported.serialize())


def _open(path: pathlib.Path, deployable: Deployable) -> Run:
  del deployable
  call = jax.jit(jax_export.deserialize(bytearray(path.read_bytes())).call)
  return lambda images: np.asarray(call(images))


_RUN = """
import jax
from jax import export


def run(images):
  return jax.jit(export.deserialize(bytearray((HERE / '{file}').read_bytes())).call)(images)
"""

FORMATS = {
  'stablehlo': Format(
    file='model.stablehlo',
    extra='stablehlo',
    needs=('flatbuffers',),
    distributions=('jaxlib', 'flatbuffers'),
    write=_write,
    open=_open,
    run=_RUN,
  )
}
