"""XLA's flags: the user's come first, and no jaxlib gets one that it may not know."""

import pytest

from pidkd_jax.parallel import xla_flags


def test_a_user_keeps_his_own_value(monkeypatch):
  monkeypatch.setenv('XLA_FLAGS', '--xla_gpu_enable_triton_gemm=true --xla_dump_to=x')
  xla_flags.fewer_candidates()
  assert xla_flags.os.environ['XLA_FLAGS'] == '--xla_gpu_enable_triton_gemm=true --xla_dump_to=x'


@pytest.mark.parametrize(
  ('version', 'is_set'),
  [('0.10.0', True), ('0.12.3', True), ('0.13.0.dev20261101', False), ('1.0', False), ('?', False)],
)
def test_only_known_versions_get_the_flags(monkeypatch, version, is_set):
  monkeypatch.setenv('XLA_FLAGS', '--xla_dump_to=x')
  monkeypatch.setattr(xla_flags.metadata, 'version', lambda name: version)
  xla_flags.fewer_candidates()
  added = '--xla_dump_to=x --xla_gpu_enable_triton_gemm=false'
  assert xla_flags.os.environ['XLA_FLAGS'] == (added if is_set else '--xla_dump_to=x')
