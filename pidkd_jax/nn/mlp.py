"""The multilayer perceptron of transformer blocks and of ConvNeXt's."""

import functools

import jax
from flax import linen as nn

from pidkd_jax.nn.initializers import normal_of
from pidkd_jax.nn.layers import Dense, promote_to_input

# A linear layer that computes in the type of its input, with the initial weights of timm's
# transformers: N(0, 0.02^2), biases of 0.
dense = functools.partial(Dense, kernel_init=normal_of(0.02), promote_dtype=promote_to_input)


class Mlp(nn.Module):
  """Two linear layers with a GELU between them, [..., C] -> [..., C].

  Attributes:
    hidden: the channels between the layers.

  Example:
    >>> mlp, x = Mlp(hidden=16), jnp.ones((2, 4, 4, 8))
    >>> mlp.apply(mlp.init(jax.random.key(0), x), x).shape
    (2, 4, 4, 8)
  """

  hidden: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    hidden = nn.gelu(dense(self.hidden, name='first')(x), approximate=False)
    return dense(x.shape[-1], name='second')(hidden)
