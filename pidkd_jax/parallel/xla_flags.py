"""XLA's flags in the environment of this process, which XLA reads once, as JAX starts.

This module imports only the standard library, so that it can run before JAX is imported.
"""

import os
from collections.abc import Mapping
from importlib import metadata

# Flags of every training, {flag: value}. They affect only GPUs.
#
# Before its first step XLA times many candidates for each convolution and product. Products have
# the most, because each of Triton's tilings is a program to compile. Without them cuBLAS chooses.
# Products are a small part of a step here, and convolutions stay with cuDNN's candidates.
# `python -m benchmarks.gpu --parts tuning` measures start and step of this and other choices.
FEWER_CANDIDATES = {'--xla_gpu_enable_triton_gemm': 'false'}

# An unknown flag ends the process. These versions of jaxlib are known to have all flags above.
_SINCE, _BEFORE = (0, 10), (0, 13)


def fewer_candidates() -> None:
  """Let XLA time fewer candidates on GPUs, unless the user sets the flag himself.

  Another version of jaxlib than the known ones keeps its defaults. Call it before JAX starts.
  """
  if _SINCE <= _jaxlib() < _BEFORE:
    os.environ['XLA_FLAGS'] = merge(os.environ.get('XLA_FLAGS', ''), FEWER_CANDIDATES)


def merge(given: str, flags: Mapping[str, str]) -> str:
  """Return the given flags, and those of {flag: value} that they do not name.

  Example:
    >>> merge('--xla_gpu_a=1', {'--xla_gpu_a': '2', '--xla_gpu_b': '3'})
    '--xla_gpu_a=1 --xla_gpu_b=3'
  """
  named = {flag.partition('=')[0] for flag in given.split()}
  return ' '.join([*given.split(), *(f'{f}={v}' for f, v in flags.items() if f not in named)])


def _jaxlib() -> tuple[int, int]:
  """Return jaxlib's version, (0, 0) where it is unknown."""
  try:
    major, minor, *_ = metadata.version('jaxlib').split('.')
    return int(major), int(minor)
  except (metadata.PackageNotFoundError, ValueError):
    return 0, 0
