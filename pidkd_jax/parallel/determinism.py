"""Bit-identical results of GPU programs."""

import os

import jax

from pidkd_jax.core.errors import UserError

# The flag affects only GPUs. It also turns off autotuning, and implies
# --xla_gpu_exclude_nondeterministic_ops: operations without a deterministic form fail to compile.
_FLAG = '--xla_gpu_deterministic_ops=true'


def is_required() -> bool:
  """Return whether the process asks XLA for deterministic programs."""
  return _FLAG in os.environ.get('XLA_FLAGS', '').split()


def require() -> None:
  """Make XLA's GPU programs deterministic for the whole life of this process.

  Raises:
    UserError: JAX has started, and has read its flags without this one.
  """
  if is_required():
    return
  if _jax_has_started():
    raise UserError(
      f'deterministic is set after JAX has started; set XLA_FLAGS={_FLAG} before it starts'
    )
  # Where a flag is given twice, XLA takes the last one.
  os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {_FLAG}'.strip()


def _jax_has_started() -> bool:
  """Return whether JAX has a backend: XLA has then read its flags, and this setting is fixed."""
  count = jax.config.jax_num_cpu_devices  # pyright: ignore[reportAttributeAccessIssue]
  try:
    jax.config.update('jax_num_cpu_devices', count + 2)
  except RuntimeError:
    return True
  jax.config.update('jax_num_cpu_devices', count)
  return False
