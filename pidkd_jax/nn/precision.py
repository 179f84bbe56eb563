"""The floating-point formats of a training.

Parameters, BatchNorm's statistics, gradients, the optimizer, pooled features, logits and losses are
float32 in all of them, and so is every evaluation.
"""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp

from pidkd_jax.core.errors import unknown_name


@dataclasses.dataclass(frozen=True)
class Precision:
  """What training steps compute in.

  Attributes:
    dtype: of images and maps; a layer computes in the type of what it is given.
    matmul: how float32 products are multiplied, a name of `jax.default_matmul_precision`. CPUs
      know one way alone.
  """

  dtype: jnp.dtype
  matmul: str

  def scope(self) -> contextlib.AbstractContextManager:
    """In which steps are traced and called."""
    return jax.default_matmul_precision(self.matmul)


# JAX itself would take TF32 for float32 on GPUs, and bfloat16 on TPUs.
FLOAT32 = Precision(jnp.dtype('float32'), 'highest')

PRECISIONS = {
  'float32': FLOAT32,
  'tf32': Precision(jnp.dtype('float32'), 'tensorfloat32'),
  'bfloat16': Precision(jnp.dtype('bfloat16'), 'highest'),
}


def to_float32(x: jax.Array) -> jax.Array:
  """The same in float32, or as it is if that is more; for sums and small differences."""
  return x.astype(jnp.promote_types(x.dtype, FLOAT32.dtype))


def find(name: str) -> Precision:
  """The precision of that name.

  Raises:
    UserError: there is none; says which are.
  """
  if name not in PRECISIONS:
    raise unknown_name('precision', name, PRECISIONS)
  return PRECISIONS[name]
