"""Convolutions that stay separate under `jax.vmap` over their kernels.

`vmap` makes one grouped convolution of several. The gradient of its kernels is then a grouped
convolution whose kernels are as large as the map, and strided ones convolve maps filled up with
zeros. On GPUs neither has an algorithm as good as that of a single convolution.
"""

import contextlib
from collections.abc import Callable

import jax
import jax.numpy as jnp

# A part of JAX's trace context: a jitted function is traced again where it differs.
_scope = jax.make_user_context(default_value=False)


def separate() -> contextlib.AbstractContextManager[None]:
  """Trace the convolutions of `fastest` so that `vmap` keeps them separate.

  Within it a convolution has no derivative in forward mode.

  Example:
    >>> from pidkd_jax.nn import convolution
    >>> x, kernels = jnp.ones((8, 16, 16, 4)), jnp.ones((3, 3, 3, 4, 4))
    >>> def layer(kernel):
    ...   return convolution.fastest(x, kernel, (1, 1), 'SAME')
    >>> with convolution.separate():
    ...   str(jax.make_jaxpr(jax.vmap(layer))(kernels)).count('conv_general_dilated')
    3
  """
  return _scope(True)


def separated(convolve: Callable[[jax.Array, jax.Array], jax.Array]) -> Callable:
  """Return a convolution, (x, kernel) -> map, that `vmap` keeps separate within `separate`."""
  if not _scope.value:
    return convolve

  def gradients(x, kernel, cotangent):
    return jax.vjp(convolve, x, kernel)[1](cotangent)

  forward, backward = _each(convolve), _each(gradients)

  @jax.custom_vjp
  def apart(x, kernel):
    return forward(x, kernel)

  apart.defvjp(
    lambda x, kernel: (forward(x, kernel), (x, kernel)),
    lambda operands, cotangent: backward(*operands, cotangent),
  )
  return apart


def _each(function: Callable) -> Callable:
  """Return a function that `vmap` calls once for each place of the mapped axis."""
  mapped = jax.custom_batching.custom_vmap(function)

  @mapped.def_vmap
  def _(size, batched, *arguments):
    results = [
      function(*(x[place] if own else x for x, own in zip(arguments, batched, strict=True)))
      for place in range(size)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)
    return stacked, jax.tree.map(lambda _: True, stacked)

  return mapped
