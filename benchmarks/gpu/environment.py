"""What a row depends on beside the code: versions and hardware. It imports JAX."""

from benchmarks.gpu.part import Row
from pidkd_jax.core import versions
from pidkd_jax.experiment import workdir


def current() -> Row:
  """Return what a run's versions.json has, and PyTorch's version."""
  return workdir.environment() | versions.of('torch')
