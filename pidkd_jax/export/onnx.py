"""ONNX."""

import contextlib
import logging
import pathlib
from collections.abc import Iterator

import jax
import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.format import Format, Runner
from pidkd_jax.nn import convolution

# The first opset whose reductions are as jax2onnx writes them; runtimes support it since 2023.
_OPSET = 18


class Onnx(Format):
  """An ONNX file, converted by jax2onnx.

  It holds the computation in float32 for any batch size, with input 'images' and output 'logits'.
  Every convolution is a Conv node, as runtimes have formulations of their own. ONNX runtimes run
  it, without this package. onnx's checker verifies the model, and onnxruntime computes the logits
  that are compared, on the CPU.
  """

  file = 'model.onnx'
  modules = distributions = ('jax2onnx', 'onnx', 'onnxruntime')
  example = """
import onnxruntime


def run(images):
  session = onnxruntime.InferenceSession(HERE / '{file}', providers=['CPUExecutionProvider'])
  return session.run(['logits'], {{'images': images}})[0]
"""

  def write(self, deployable: Deployable, path: pathlib.Path) -> None:
    """Convert a network to an ONNX file.

    Raises:
      UserError: jax2onnx cannot convert the network, or onnx's checker refuses the result.
    """
    with quiet():
      import jax2onnx
      import onnx

      images = jax.ShapeDtypeStruct(('B', *deployable.input_shape), deployable.dtype)
      try:
        with convolution.plain():
          model = jax2onnx.to_onnx(
            deployable.__call__,
            [images],
            model_name='pidkd_jax',
            opset=_OPSET,
            input_names=['images'],
            output_names=['logits'],
          )
        # Shapes between layers are optional, and jax2onnx gets those of pre-activation networks
        # wrong.
        del model.graph.value_info[:]
        onnx.checker.check_model(model, full_check=True)
      except Exception as error:  # The converter raises many types.
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())[:200]
        raise UserError(
          f'{str(deployable.bundle.folder)!r} cannot be written as ONNX ({reason}); export it as '
          'stablehlo'
        ) from error
    onnx.save(model, path)

  def load(self, path: pathlib.Path, deployable: Deployable) -> Runner:
    """Return a function that runs an ONNX file on the CPU."""
    import onnxruntime

    del deployable
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return lambda images: np.asarray(session.run(['logits'], {'images': images})[0])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Silence the converter's logs on each layer and on libraries that are not installed."""
  before = logging.root.manager.disable
  logging.disable(logging.WARNING)
  try:
    yield
  finally:
    logging.disable(before)


FORMATS = {'onnx': Onnx()}
