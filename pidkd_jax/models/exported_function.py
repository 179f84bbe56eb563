"""Encoders that bundles carry as StableHLO, by their digest.

A bundle may come from anyone. So a function is checked before it may run: its operations, its
arguments and its results.
"""

import dataclasses
import hashlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import export as jax_export

from pidkd_jax.core import exported_program
from pidkd_jax.core.errors import UserError

# Weights are arguments, so that a function has some hundred kilobytes.
LIMIT = 2**26
PLATFORMS = ('cpu', 'cuda', 'tpu')
COLLECTIONS = ('params', 'buffers')


@dataclasses.dataclass(frozen=True, eq=False)
class ExportedFunction:
  """A checked function (variables, images) -> maps.

  Attributes:
    content: as a file holds it.
    exported: the same, ready to be called.
    variables: {collection: {name: shape and type}}, the function's first argument.
    image_shape: (H, W, C) of its images, float32 [B, H, W, C] for any B.
  """

  content: bytes
  exported: jax_export.Exported
  variables: Mapping[str, Mapping[str, jax.ShapeDtypeStruct]]
  image_shape: tuple[int, int, int]


_FUNCTIONS: dict[str, ExportedFunction] = {}


def register(content: bytes) -> str:
  """Check a function and keep it for `find`.

  Args:
    content: what `jax.export.Exported.serialize` returned.

  Returns:
    Its digest, the SHA-256 of the content.

  Raises:
    UserError: the package that reads it is missing; or another version of JAX wrote it.
    ValueError: it is no such function, or it could do more than compute.
  """
  digest = hashlib.sha256(content).hexdigest()
  if digest not in _FUNCTIONS:
    _FUNCTIONS[digest] = _read(content)
  return digest


def find(digest: str) -> ExportedFunction:
  """Return a function that was registered.

  Raises:
    UserError: none has this digest.
  """
  if digest not in _FUNCTIONS:
    raise UserError(
      f'the exported encoder {digest[:8]}... is not loaded; load the bundle that holds it'
    )
  return _FUNCTIONS[digest]


def _read(content: bytes) -> ExportedFunction:
  if len(content) > LIMIT:
    raise ValueError(f'its encoder has more than {LIMIT:,} bytes')
  exported = exported_program.read(content, 'its encoder')
  if exported.has_vjp():
    raise ValueError('its encoder has a derivative, which is not checked')
  args, kwargs = jax.tree.unflatten(
    exported.in_tree, [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in exported.in_avals]
  )
  if kwargs or len(args) != 2 or not isinstance(args[0], dict) or {*args[0]} != {*COLLECTIONS}:
    raise ValueError('its encoder takes other arguments than variables and images')
  variables, image = args
  shapes = [leaf.shape for leaf in jax.tree.leaves(variables)]
  if not all(isinstance(size, int) for shape in shapes for size in shape):
    raise ValueError('its encoder has weights of no fixed shape')
  fixed = getattr(image, 'shape', ())[1:]
  if len(fixed) != 3 or image.dtype != jnp.float32 or not all(isinstance(n, int) for n in fixed):
    raise ValueError('its encoder takes no float32 images of a fixed size')
  if not exported.out_avals or any(len(a.shape) != 4 for a in exported.out_avals):
    raise ValueError('its encoder returns no maps')
  return ExportedFunction(content, exported, variables, fixed)
