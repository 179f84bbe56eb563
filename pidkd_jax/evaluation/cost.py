"""The cost of a network: its parameters and its multiply-adds."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from pidkd_jax.models.network import Network
from pidkd_jax.nn import convolution


@dataclasses.dataclass(frozen=True)
class Cost:
  """The cost of a network in inference mode.

  Attributes:
    parameters: the number of values in its parameters; running statistics do not count.
    multiply_adds: of one image.
  """

  parameters: int
  multiply_adds: int

  def __str__(self) -> str:
    return f'{self.parameters:,} parameters, {self.multiply_adds:,} multiply-adds'


def cost(network: Network, image_shape: tuple[int, int, int]) -> Cost:
  """Return the cost of a network.

  Args:
    network: with arrays or shapes as variables.
    image_shape: (H, W, C) of an image.

  Example:
    >>> from pidkd_jax import models
    >>> model = models.create('resnet8', num_classes=10)
    >>> print(cost(Network.shapes(model, (32, 32, 3)), (32, 32, 3)))
    78,042 parameters, 12,501,632 multiply-adds
  """
  image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)

  def predict(network, image):
    return network.classify(network.encode(image).pooled)

  counted = multiply_adds(predict, network, image) + network.model.untraced_multiply_adds
  return Cost(parameters(network.variables['params']), counted)


def parameters(tree: Any) -> int:
  """Return the number of values in a tree of arrays or shapes.

  Example:
    >>> parameters({'kernel': jnp.zeros((3, 3, 4, 8)), 'bias': jnp.zeros(8)})
    296
  """
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def multiply_adds(function: Callable, *args: Any) -> int:
  """Return the multiply-adds of all convolutions and matrix products in a function.

  Every convolution counts as the plain one, whatever its formulation on this platform. Padding
  counts as computed, as it does in the tables of the literature. The body of a loop counts once for
  each step; that of a `while_loop` counts once alone, as only a run knows its number of steps. Of
  the branches of a condition the costliest one counts.

  Args:
    function: traced, never run.
    *args: its arguments, arrays or shapes.

  Example:
    >>> multiply_adds(jnp.matmul, jnp.zeros((2, 3)), jnp.zeros((3, 4)))
    24
  """
  with convolution.plain():
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
  return _of_jaxpr(jaxpr)


def _of_jaxpr(jaxpr) -> int:
  return sum(
    _OPERATIONS.get(equation.primitive.name, _of_inner)(equation) for equation in jaxpr.eqns
  )


def _of_inner(equation) -> int:
  return sum(map(_of_jaxpr, core.jaxprs_in_params(equation.params)))


def _of_loop(equation) -> int:
  return equation.params['length'] * _of_inner(equation)


def _of_condition(equation) -> int:
  return max(map(_of_jaxpr, core.jaxprs_in_params(equation.params)))


def _of_convolution(equation) -> int:
  kernel = equation.invars[1].aval.shape
  channels_out = kernel[equation.params['dimension_numbers'].rhs_spec[0]]
  return math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // channels_out


def _of_product(equation) -> int:
  left = equation.invars[0].aval.shape
  contracted = equation.params['dimension_numbers'][0][0]
  return math.prod(equation.outvars[0].aval.shape) * math.prod(left[axis] for axis in contracted)


# {primitive: count}; any other one costs what it calls.
_OPERATIONS = {
  'conv_general_dilated': _of_convolution,
  'dot_general': _of_product,
  'scan': _of_loop,
  'cond': _of_condition,
}
