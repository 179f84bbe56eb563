"""The floating-point formats of a training.

A precision sets the format of images and maps, and how float32 products are multiplied. All else is
float32 in each of them: parameters, BatchNorm's statistics, gradients, the optimizer, pooled
features, logits, losses and every evaluation that is reported at the end.
"""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp

from pidkd_jax.core.errors import unknown_name


@dataclasses.dataclass(frozen=True)
class Precision:
  """The formats that training steps compute in.

  Attributes:
    dtype: the type of images and maps; the layers of this package compute in the type of their
      input, and Flax's own in that of their parameters, unless `promote_dtype` says otherwise.
    matmul: how float32 products are multiplied, a name of `jax.default_matmul_precision`. It has no
      effect on CPUs.
  """

  dtype: jnp.dtype
  matmul: str

  def scope(self) -> contextlib.AbstractContextManager:
    """Return the context in which to trace and call training steps."""
    return jax.default_matmul_precision(self.matmul)


# By default JAX would multiply float32 in TF32 on GPUs, and in bfloat16 on TPUs.
FLOAT32 = Precision(jnp.dtype('float32'), 'highest')

PRECISIONS = {
  'float32': FLOAT32,
  'tf32': Precision(jnp.dtype('float32'), 'tensorfloat32'),
  'bfloat16': Precision(jnp.dtype('bfloat16'), 'highest'),
}


def to_float32(x: jax.Array) -> jax.Array:
  """Convert an array to float32 for sums and small differences; leave float64 as it is."""
  return x.astype(jnp.promote_types(x.dtype, FLOAT32.dtype))


def find(name: str) -> Precision:
  """Return the precision of this name.

  Raises:
    UserError: the name is unknown; the message lists the known ones.

  Example:
    >>> find('bfloat16').dtype
    dtype(bfloat16)
  """
  if name not in PRECISIONS:
    raise unknown_name('precision', name, PRECISIONS)
  return PRECISIONS[name]
