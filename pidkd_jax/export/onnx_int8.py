"""The ONNX file in 8-bit integers, by onnxruntime's own static quantisation after training."""

import pathlib
import tempfile

from pidkd_jax.export import onnx
from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.format import Format

_INPUT = 'images'
# Calibration keeps every map of a batch.
_BATCH_SIZE = 32


def _write(deployable: Deployable, path: pathlib.Path) -> None:
  from onnxruntime import quantization
  from onnxruntime.quantization import shape_inference

  class Calibration(quantization.CalibrationDataReader):
    """Training images, a batch at a time."""

    def __init__(self):
      pixels = deployable.calibration
      starts = range(0, len(pixels), _BATCH_SIZE)
      self._batches = (deployable.prepare(pixels[i : i + _BATCH_SIZE]) for i in starts)

    def get_next(self):
      batch = next(self._batches, None)
      return None if batch is None else {_INPUT: batch}

  with tempfile.TemporaryDirectory() as folder, onnx.quiet():
    exact, prepared = (pathlib.Path(folder, f'{name}.onnx') for name in ('exact', 'prepared'))
    onnx.write(deployable, exact)
    shape_inference.quant_pre_process(exact, prepared)
    quantization.quantize_static(
      prepared,
      path,
      Calibration(),
      quant_format=quantization.QuantFormat.QDQ,
      per_channel=True,
      activation_type=quantization.QuantType.QUInt8,
      weight_type=quantization.QuantType.QInt8,
      # Weights of 7 bits: without VNNI pairs of products are added in 16 bits, and must fit there.
      reduce_range=True,
    )


FORMATS = {
  'onnx_int8': Format(
    file='model.onnx',
    extra='onnx',
    needs=onnx.NEEDS,
    distributions=onnx.NEEDS,
    write=_write,
    open=onnx.open_,
    run=onnx.RUN,
    exact=False,
  )
}
