"""Networks that the converter once got wrong."""

import pytest

from tests.export import families


def test_norms_that_no_convolution_precedes(tmp_path):
  """`python -m tests.export.families` checks all families, in minutes."""
  pytest.importorskip('jax2onnx')
  pytest.importorskip('onnxruntime')
  found, largest = families.exported('wrn_16_1', ['onnx'], tmp_path)
  assert found['onnx']['verification']['largest_difference'] < 1e-4 * max(largest, 1)
