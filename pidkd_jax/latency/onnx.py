"""Worker that runs an ONNX file on the CPU: python -m pidkd_jax.latency.onnx FILE"""

import os
import pathlib
import sys

import numpy as np

from pidkd_jax.core import extras
from pidkd_jax.latency import worker
from pidkd_jax.latency.preprocessing import preprocessor


def _load(file: pathlib.Path) -> worker.Runner:
  with extras.needed('running an ONNX file'):
    import onnxruntime
  options = onnxruntime.SessionOptions()
  if hasattr(os, 'sched_getaffinity'):  # By default it ignores this process's CPU affinity.
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
  session = onnxruntime.InferenceSession(file, options, providers=['CPUExecutionProvider'])
  preprocess = preprocessor(file)
  [images_name] = (node.name for node in session.get_inputs())
  return lambda images: np.asarray(session.run(None, {images_name: preprocess(images)})[0])


if __name__ == '__main__':
  worker.serve(lambda: _load(pathlib.Path(sys.argv[1])))
