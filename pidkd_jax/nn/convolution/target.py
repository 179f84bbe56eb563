"""For which platform a convolution is traced: this one, any, or a converter to another format."""

import contextlib
import enum

import jax


class Target(enum.Enum):
  """Where a traced program will run."""

  HERE = enum.auto()
  ANY_PLATFORM = enum.auto()
  CONVERTER = enum.auto()


# A part of JAX's trace context: a jitted function is traced again where the target differs.
_target = jax.make_user_context(default_value=Target.HERE)


def plain() -> contextlib.AbstractContextManager[None]:
  """Trace every formulation as `lax.conv_general_dilated`.

  Converters to other formats, such as ONNX, have an operator for a convolution.

  Example:
    >>> from pidkd_jax.nn import convolution
    >>> x, kernel = jnp.ones((1, 8, 8, 4)), jnp.ones((3, 3, 1, 4))
    >>> def layer(x, kernel):
    ...   return convolution.depthwise_by_shift(x, kernel, (1, 1), 'SAME', feature_group_count=4)
    >>> 'conv_general_dilated' in str(jax.make_jaxpr(layer)(x, kernel))
    False
    >>> with convolution.plain():
    ...   'conv_general_dilated' in str(jax.make_jaxpr(layer)(x, kernel))
    True
  """
  return _target(Target.CONVERTER)


def portable() -> contextlib.AbstractContextManager[None]:
  """Trace programs that choose their formulation on the platform that compiles them.

  One exported program then runs well on every platform. Otherwise `jax.default_backend()` decides
  while a program is traced.

  Example:
    >>> from pidkd_jax.nn import convolution
    >>> x, kernel = jnp.ones((1, 8, 8, 32)), jnp.ones((3, 3, 32, 32))
    >>> def layer(x, kernel):
    ...   return convolution.fastest(x, kernel, (1, 1), 'SAME')
    >>> with convolution.portable():
    ...   program = jax.export.export(jax.jit(layer), platforms=['cpu', 'cuda'])(x, kernel)
    >>> program.platforms
    ('cpu', 'cuda')
  """
  return _target(Target.ANY_PLATFORM)


def is_here_on(platform: str) -> bool:
  """Return whether what is traced runs in this process, on this platform."""
  return jax.default_backend() == platform and _target.value is Target.HERE


def is_any_platform() -> bool:
  """Return whether what is traced chooses its formulation on the platform that compiles it."""
  return _target.value is Target.ANY_PLATFORM


def is_converter() -> bool:
  """Return whether what is traced is read by a converter."""
  return _target.value is Target.CONVERTER
