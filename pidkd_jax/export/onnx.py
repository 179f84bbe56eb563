"""ONNX by way of jax2onnx, checked by onnx and run by onnxruntime."""

import contextlib
import logging
import pathlib
from collections.abc import Iterator

import jax

from pidkd_jax.core.errors import UserError
from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.format import Format, Run
from pidkd_jax.nn import convolution

# The first that reduces over axes as jax2onnx writes them; runtimes know it since 2023.
_OPSET = 18

NEEDS = ('jax2onnx', 'onnx', 'onnxruntime')


def write(deployable: Deployable, path: pathlib.Path) -> None:
  """Converts a network to an ONNX file.

  Raises:
    UserError: jax2onnx, or onnx's checker, has no place for something in it.
  """
  with quiet():
    import jax2onnx
    import onnx

    images = jax.ShapeDtypeStruct(('B', *deployable.image_shape), deployable.dtype)
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
      # Shapes between the layers are optional, and those of pre-activation networks come out wrong.
      del model.graph.value_info[:]
      onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # What cannot be converted fails in as many ways as there are.
      what = ' '.join(f'{type(error).__name__}: {error}'.split())[:200]
      raise UserError(
        f'{str(deployable.bundle.folder)!r} cannot be written as ONNX ({what}); export it as '
        'stablehlo'
      ) from error
  onnx.save(model, path)


def open_(path: pathlib.Path, deployable: Deployable) -> Run:
  """What runs an ONNX file, on the CPU."""
  import onnxruntime

  del deployable
  session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
  return lambda images: session.run(['logits'], {'images': images})[0]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Without what the libraries log of each layer, and of others that they could convert from."""
  before = logging.root.manager.disable
  logging.disable(logging.WARNING)
  try:
    yield
  finally:
    logging.disable(before)


RUN = """
import onnxruntime


def run(images):
  session = onnxruntime.InferenceSession(HERE / '{file}', providers=['CPUExecutionProvider'])
  return session.run(['logits'], {{'images': images}})[0]
"""

FORMATS = {
  'onnx': Format(
    file='model.onnx',
    extra='onnx',
    needs=NEEDS,
    distributions=NEEDS,
    write=write,
    open=open_,
    run=RUN,
  )
}
