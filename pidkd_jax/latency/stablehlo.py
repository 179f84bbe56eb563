"""Worker that runs a serialised jax.export artefact: python -m pidkd_jax.latency.stablehlo FILE"""

import pathlib
import sys

import jax
import numpy as np
from jax import export

from pidkd_jax.core import extras
from pidkd_jax.latency import worker
from pidkd_jax.latency.preprocessing import preprocessor


def _load(file: pathlib.Path) -> worker.Runner:
  extras.require('running a StableHLO file', 'flatbuffers')
  call = jax.jit(export.deserialize(bytearray(file.read_bytes())).call)
  preprocess = preprocessor(file)
  return lambda images: np.asarray(call(preprocess(images)))


if __name__ == '__main__':
  worker.serve(lambda: _load(pathlib.Path(sys.argv[1])))
