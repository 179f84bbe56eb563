"""Programs in StableHLO that may come from anyone: they are checked before they may run."""

import re

import jax
from jax import export

from pidkd_jax.core import extras
from pidkd_jax.core.errors import first_line

# A custom call may name any function of the process. This one compares shapes and has no address.
_HARMLESS_CALL = re.compile(r'stablehlo\.custom_call @shape_assertion\(')
# Operations that wait for the host or for another device.
_WAITING = re.compile(r'\bstablehlo"?\.(infeed|outfeed|send|recv)\b')


def read(content: bytes, name: str) -> export.Exported:
  """Return a program that computes and does nothing else.

  Args:
    content: what `jax.export.Exported.serialize` returned.
    name: of the program, as errors begin.

  Raises:
    UserError: the package that reads it is missing.
    ValueError: this version of JAX does not read it, or it could do more than compute.
  """
  extras.require('a network in StableHLO', 'flatbuffers')
  try:
    exported = export.deserialize(bytearray(content))
    text = exported.mlir_module()
  except Exception as error:  # A damaged file can fail in any way.
    raise ValueError(
      f'{name} is no StableHLO that JAX {jax.__version__} reads ({first_line(error)})'
    ) from error
  _check_operations(text, name)
  if exported.disabled_safety_checks or exported.ordered_effects or exported.unordered_effects:
    raise ValueError(f'{name} has effects beside its results')
  if exported.nr_devices != 1:
    raise ValueError(f'{name} is for {exported.nr_devices} devices and not for one')
  return exported


def _check_operations(text: str, name: str) -> None:
  """Raise ValueError for operations that could do more than compute.

  Every custom call prints its name once. So all are harmless where as many harmless ones are found.
  """
  if text.count('custom_call') != len(_HARMLESS_CALL.findall(text)):
    raise ValueError(f'{name} calls functions outside StableHLO, which could do anything')
  if waiting := _WAITING.search(text):
    raise ValueError(f'{name} waits for others ({waiting[1]})')
