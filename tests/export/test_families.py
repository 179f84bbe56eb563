"""Networks that the converter once got wrong, and families without BatchNorm."""

import jax
import pytest
from packaging.version import Version

from pidkd_jax.models import convnext, vit
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


@pytest.mark.parametrize('name', ['convnext_atto', 'vit_tiny_patch4_32'])
def test_networks_without_batch_norm(name, tmp_path, monkeypatch):
  """LayerNorm, GELU and attention, and positions that are resampled. Narrow, to be quick."""
  pytest.importorskip('jax2onnx')
  pytest.importorskip('onnxruntime')
  small = {'blocks_per_stage': (1, 1, 1, 1), 'widths': (8, 8, 8, 8)}, {'layers': 1, 'width': 12}
  for entries, fields in zip((convnext.MODELS, vit.MODELS), small, strict=True):
    for field, value in fields.items() if name in entries else ():
      monkeypatch.setitem(entries[name].keywords, field, value)
  found, largest = families.exported(name, ['stablehlo', 'onnx', 'onnx_int8'], tmp_path)
  for one in ('stablehlo', 'onnx'):
    assert found[one]['verification']['largest_difference'] < 1e-4 * max(largest, 1)
  assert found['onnx_int8']['verification']['largest_difference'] < 0.5 * largest
