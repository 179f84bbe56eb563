"""ONNX in 8-bit integers."""

import pathlib
import tempfile

from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.onnx import Onnx, quiet

# Calibration keeps all maps of a batch in memory.
_BATCH_SIZE = 32


class OnnxInt8(Onnx):
  """The ONNX file after onnxruntime's static quantisation.

  Weights are int8 with a scale for each channel, and maps are uint8 with their range on the
  calibration images. Both are written as QuantizeLinear and DequantizeLinear pairs. ONNX runtimes
  run it, without this package. onnxruntime computes the logits that are compared, on the CPU. They
  are not exact: verification requires finite logits, and limits the top-1 that the file costs.
  """

  exact = False

  def write(self, deployable: Deployable, path: pathlib.Path) -> None:
    """Convert a network to ONNX and quantise it."""
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference

    class Calibration(quantization.CalibrationDataReader):
      """The calibration images, a batch at a time."""

      def __init__(self):
        pixels = deployable.calibration
        starts = range(0, len(pixels), _BATCH_SIZE)
        self._batches = (deployable.prepare(pixels[i : i + _BATCH_SIZE]) for i in starts)

      def get_next(self):
        batch = next(self._batches, None)
        return None if batch is None else {'images': batch}

    with tempfile.TemporaryDirectory() as folder, quiet():
      exact, preprocessed = (pathlib.Path(folder, f'{n}.onnx') for n in ('exact', 'preprocessed'))
      super().write(deployable, exact)
      # Its symbolic inference fails on LayerNorm; onnx's own finds the shapes that are needed.
      shape_inference.quant_pre_process(exact, preprocessed, skip_symbolic_shape=True)
      quantization.quantize_static(
        preprocessed,
        path,
        Calibration(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        # Weights get 7 bits: kernels for processors without VNNI add pairs of products in 16 bits.
        reduce_range=True,
      )


FORMATS = {'onnx_int8': OnnxInt8()}
