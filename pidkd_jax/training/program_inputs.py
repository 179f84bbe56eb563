"""Ask what a traced program does with each of its inputs, so that nobody has to declare it."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
from jax.extend import core
from jax.interpreters import partial_eval


def read(program: core.ClosedJaxpr) -> list[bool]:
  """Return for each input, in order, whether an output depends on it.

  Args:
    program: of a jitted function, as `jax.jit(function).trace(...).jaxpr`.

  Example:
    >>> import jax
    >>> read(jax.jit(lambda x, y: (jnp.sin(y), x)[1]).trace(1.0, 2.0).jaxpr)
    [True, False]
  """
  _, used = partial_eval.dce_jaxpr(program.jaxpr, [True] * len(program.jaxpr.outvars))
  return list(used)


def only_converted(program: core.ClosedJaxpr, dtype: jnp.dtype) -> list[bool]:
  """Return for each input, in order, whether every reader first converts it to `dtype`.

  Such an input may be converted before the program, once for all of its calls. An input that
  nothing reads counts as False.

  Args:
    program: as for `read`.
    dtype: another type than that of the inputs in question.

  Example:
    >>> import jax
    >>> x, half = jnp.ones(3), jnp.dtype('bfloat16')
    >>> only_converted(jax.jit(lambda x, y: x.astype(half) + y).trace(x, x).jaxpr, half)
    [True, False]
  """
  jaxpr, used = partial_eval.dce_jaxpr(program.jaxpr, [True] * len(program.jaxpr.outvars))
  kept = iter(jaxpr.invars)
  return [one and _is_only_converted(jaxpr, next(kept), dtype) for one in used]


def _is_only_converted(jaxpr: core.Jaxpr, variable: core.Var, dtype: jnp.dtype) -> bool:
  readers = list(_readers(jaxpr, variable))
  return bool(readers) and all(
    reader is not None
    and reader.primitive.name == 'convert_element_type'
    and reader.params['new_dtype'] == dtype
    for reader in readers
  )


def _readers(jaxpr: core.Jaxpr, variable: Any) -> Iterator[core.JaxprEqn | None]:
  """Yield the equations that read a variable, in the functions that are called too.

  None stands for the outputs of the program.
  """
  if variable in [output for output in jaxpr.outvars if isinstance(output, core.Var)]:
    yield None
  for equation in jaxpr.eqns:
    places = [place for place, one in enumerate(equation.invars) if one is variable]
    # Only a jitted function surely takes exactly the inputs of its equation.
    called = equation.params['jaxpr'].jaxpr if equation.primitive.name in ('jit', 'pjit') else None
    if called is None:
      yield from [equation] * len(places)
    else:
      for place in places:
        yield from _readers(called, called.invars[place])
