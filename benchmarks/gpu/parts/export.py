"""Exported files on this device: StableHLO beside its run on the CPU, ONNX by onnxruntime."""

import functools
import json
import shutil
import sys

from benchmarks.gpu.part import Measurements, Part, Place, Row

IMAGES = 256
# Of onnxruntime, the first that it has. It needs a build of its own for CUDA.
PROVIDERS = ('CUDAExecutionProvider', 'CPUExecutionProvider')


def measurements(place: Place) -> Measurements:
  """Return the exports with their own verification, and the answers of this device."""

  @functools.cache
  def exported(name: str):
    from benchmarks.gpu import bundles, job

    out = place.folder / name
    shutil.rmtree(out, ignore_errors=True)
    job.finish(
      [
        sys.executable,
        str(job.ROOT / 'scripts' / 'export.py'),
        f'--bundle={bundles.random(place, "resnet8x4", "resnet8*0.25")}',
        f'--out={out}',
        f'--format={name}',
        '--data=cifar100',
        f'--data_dir={place.shared / "tfds"}',
        f'--archive={job.archive(place)}',
        '--noverify',
      ],
      job.environment(place.caches),
    )
    return out / name

  def written(name: str) -> Row:
    folder = exported(name)
    checked = json.loads((folder / 'card.json').read_text())['export']['verification']
    return {
      'images': checked['images'],
      'largest difference of a logit': checked['largest_difference'],
      'other predictions': checked['other_predictions'],
      'run by': 'pidkd export',
    }

  def stablehlo() -> Row:
    import jax

    return _row(_on(exported('stablehlo'), jax.devices()[0]), exported, jax.default_backend())

  def onnx() -> Row:
    import onnxruntime

    path = exported('onnx') / 'model.onnx'
    providers = [one for one in PROVIDERS if one in onnxruntime.get_available_providers()]
    session = onnxruntime.InferenceSession(str(path), providers=providers)
    [given] = session.get_inputs()
    [logits] = session.run(None, {given.name: _images()})
    return _row(logits, exported, session.get_providers()[0])

  return {
    'StableHLO, verified': lambda: written('stablehlo'),
    'StableHLO against the CPU': stablehlo,
    'ONNX, verified': lambda: written('onnx'),
    'onnxruntime against StableHLO on the CPU': onnx,
  }


def _images():
  import numpy as np

  return np.random.default_rng(0).normal(size=(IMAGES, 32, 32, 3)).astype(np.float32)


def _on(folder, device):
  """Return a StableHLO file's logits, computed on a device."""
  import jax
  import numpy as np
  from jax import export

  call = export.deserialize(bytearray((folder / 'model.stablehlo').read_bytes())).call
  return np.asarray(jax.jit(call)(jax.device_put(_images(), device)))


def _row(logits, exported, run_by: str) -> Row:
  import jax
  import numpy as np

  expected = _on(exported('stablehlo'), jax.devices('cpu')[0])
  return {
    'images': IMAGES,
    'largest difference of a logit': float(np.abs(logits - expected).max()),
    'other predictions': int((logits.argmax(1) != expected.argmax(1)).sum()),
    'run by': run_by,
  }


PART = Part('export', 'Exports', 100, measurements)
