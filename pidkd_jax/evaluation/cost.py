"""What a network costs: parameters and multiply-adds."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax.extend import core

from pidkd_jax.core.types import Network
from pidkd_jax.nn import convolution


@dataclasses.dataclass(frozen=True)
class Cost:
  """Parameters (running statistics not counted) and multiply-adds of one image's inference."""

  parameters: int
  multiply_adds: int

  def __str__(self) -> str:
    return f'{self.parameters:,} parameters, {self.multiply_adds:,} multiply-adds'


def parameters(tree) -> int:
  """Number of values in a tree of arrays or shapes."""
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def multiply_adds(function, *args) -> int:
  """Multiply-adds of all convolutions and matrix products in a function of these shapes.

  Padding counts as computed, as it does in the tables of the literature.
  """
  return _of_jaxpr(jax.make_jaxpr(function)(*args).jaxpr)


def _of_jaxpr(jaxpr) -> int:
  total = 0
  for equation in jaxpr.eqns:
    inner = list(core.jaxprs_in_params(equation.params))
    name = equation.params.get('name')
    if name in _FORMULATIONS:
      total += _FORMULATIONS[name](equation, *inner)
      continue
    total += _OPERATIONS.get(equation.primitive.name, lambda _: 0)(equation)
    total += sum(map(_of_jaxpr, inner))
  return total


def _of_shifts(equation, jaxpr) -> int:
  """Of a sum of shifted maps, each times its tap of the kernel."""
  del equation
  products = (inner for inner in jaxpr.eqns if inner.primitive.name == 'mul')
  return sum(math.prod(product.outvars[0].aval.shape) for product in products)


def _of_winograd(equation, jaxpr) -> int:
  """What the plain convolution has, as tables count it: nine products per output and channel."""
  product = next(inner for inner in jaxpr.eqns if inner.primitive.name == 'dot_general')
  return 9 * math.prod(equation.outvars[0].aval.shape) * _contracted(product)


def _of_convolution(equation) -> int:
  kernel = equation.invars[1].aval.shape
  channels_out = kernel[equation.params['dimension_numbers'].rhs_spec[0]]
  return math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // channels_out


def _of_product(equation) -> int:
  return math.prod(equation.outvars[0].aval.shape) * _contracted(equation)


def _contracted(product) -> int:
  left = product.invars[0].aval.shape
  return math.prod(left[axis] for axis in product.params['dimension_numbers'][0][0])


_OPERATIONS = {'conv_general_dilated': _of_convolution, 'dot_general': _of_product}
_FORMULATIONS = {
  convolution.depthwise_of_padded.__name__: _of_shifts,
  convolution.winograd.__name__: _of_winograd,
}


def cost(network: Network, image_shape: tuple[int, int, int]) -> Cost:
  """The cost of a network (arrays or shapes) for images of (H, W, C)."""
  image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)

  def predict(network, image):
    return network.classify(network.encode(image).pooled)

  return Cost(parameters(network.variables['params']), multiply_adds(predict, network, image))
