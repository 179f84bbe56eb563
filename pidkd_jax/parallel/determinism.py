"""GPU programs that give the same bits every time."""

import os

import jax

from pidkd_jax.core.errors import UserError

# It has no effect but on GPUs, where it also turns off tuning by time and implies
# --xla_gpu_exclude_nondeterministic_ops: what has no deterministic form does not compile.
_FLAG = '--xla_gpu_deterministic_ops=true'


def require() -> None:
  """Makes XLA's programs for GPUs deterministic, in this process and from its start on.

  Raises:
    UserError: JAX is at work already, and has read its flags without this one.
  """
  flags = os.environ.get('XLA_FLAGS', '').split()
  if _FLAG in flags:
    return
  if _started():
    raise UserError(
      f'deterministic is set when JAX is at work already; set XLA_FLAGS={_FLAG} before it starts'
    )
  # Of a flag that is there twice the last one counts.
  os.environ['XLA_FLAGS'] = ' '.join([*flags, _FLAG])


def _started() -> bool:
  """Whether JAX has a backend, and XLA read its flags: then this setting may not change."""
  count = jax.config.jax_num_cpu_devices
  try:
    jax.config.update('jax_num_cpu_devices', count + 2)
  except RuntimeError:
    return True
  jax.config.update('jax_num_cpu_devices', count)
  return False
