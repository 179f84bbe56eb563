"""The formats by name."""

from collections.abc import Mapping

from pidkd_jax.core import registry
from pidkd_jax.export.format import Format

_PACKAGE = 'pidkd_jax.export'


def formats() -> Mapping[str, Format]:
  """Return {name: format}, sorted by name."""
  return registry.discover(_PACKAGE, 'FORMATS')


def names() -> list[str]:
  """Return the names of the formats, sorted.

  Example:
    >>> names()
    ['onnx', 'onnx_int8', 'stablehlo', 'weights']
  """
  return list(formats())


def find(name: str) -> Format:
  """Return the format of this name; raise UserError with the nearest name if there is none."""
  return registry.find('format', _PACKAGE, 'FORMATS', name)
