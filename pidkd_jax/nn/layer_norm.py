"""LayerNorm over the channels, as in transformers and ConvNeXt."""

import jax
from flax import linen as nn

from pidkd_jax.nn.lazy_param import LazyParam


class LayerNorm(LazyParam, nn.LayerNorm):
  """Normalise each vector of channels by its own mean and variance, [..., C] -> [..., C].

  The layer computes in float32, or float64 where its input has that, and returns the type of its
  input. The variables are params/scale and bias, each [C].

  Attributes:
    epsilon: what is added to the variance; 1e-6 in ConvNeXt and ViT.
    use_fast_variance: False, as the mean square less the squared mean loses digits.

  Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450.

  Example:
    >>> norm, x = LayerNorm(), jnp.array([[1.0, 3.0]])
    >>> y = norm.apply(norm.init(jax.random.key(0), x), x)
    >>> y.round(3).tolist()
    [[-1.0, 1.0]]
  """

  epsilon: float = 1e-6
  use_fast_variance: bool = False

  def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
    return super().__call__(x, mask=mask).astype(x.dtype)
