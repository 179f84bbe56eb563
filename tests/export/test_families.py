"""Networks that the converter once got wrong."""

import jax
import pytest
from packaging.version import Version

from tests.export import families


@pytest.mark.xfail(
  Version(jax.__version__) >= Version('0.12'),
  reason='jax2onnx 0.17.1 reads jax.core.ClosedJaxpr, which JAX 0.12 has no more',
  strict=True,
)
def test_norms_that_no_convolution_precedes(tmp_path):
  """`python -m tests.export.families` checks all families, in minutes."""
  pytest.importorskip('jax2onnx')
  pytest.importorskip('onnxruntime')
  found, largest = families.exported('wrn_16_1', ['onnx'], tmp_path)
  assert found['onnx']['verification']['largest_difference'] < 1e-4 * max(largest, 1)
