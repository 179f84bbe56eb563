"""The floating-point formats of a training.

Parameters, BatchNorm's statistics, gradients, the optimizer, pooled features, logits and losses are
float32 in all of them, and so is every evaluation.
"""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp

from pidkd_jax.errors import unknown


@dataclasses.dataclass(frozen=True)
class Precision:
  """What training steps compute in.

  Attributes:
    dtype: of images and maps; a layer computes in the type of what it is given.
    products: how float32 products are multiplied, a name of `jax.default_matmul_precision`. CPUs
      know one way alone.
  """

  dtype: jnp.dtype
  products: str

  def scope(self) -> contextlib.AbstractContextManager:
    """In which steps are traced and called."""
    return jax.default_matmul_precision(self.products)


# JAX itself would take TF32 for float32 on GPUs, and bfloat16 on TPUs.
EXACT = Precision(jnp.dtype('float32'), 'highest')

PRECISIONS = {
  'float32': EXACT,
  'tf32': Precision(jnp.dtype('float32'), 'tensorfloat32'),
  'bfloat16': Precision(jnp.dtype('bfloat16'), 'highest'),
}


def exact(x: jax.Array) -> jax.Array:
  """The same in float32, or as it is if that is more; for sums and small differences."""
  return x.astype(jnp.promote_types(x.dtype, EXACT.dtype))


def find(name: str) -> Precision:
  """The precision of that name.

  Raises:
    UserError: there is none; says which are.
  """
  if name not in PRECISIONS:
    raise unknown('precision', name, PRECISIONS)
  return PRECISIONS[name]
