"""Parameters whose initialiser is traced only where they are made."""

from typing import cast

import numpy as np
from flax import errors
from flax import linen as nn
from flax.core import Scope

from pidkd_jax.nn.initializers import Initializer


class LazyParam:
  """Look a parameter up without its initialiser: a mixin, before a Flax layer.

  Flax's `param` also traces the initialiser of a parameter that exists, to compare shapes. That
  takes half of the time in which a network is traced. The shape is an argument of its own, so the
  layer compares it without that.

  Example:
    >>> class Dense(LazyParam, nn.Dense):
    ...   pass
    >>> layer, x = Dense(10), jnp.ones((8, 64))
    >>> layer.apply(layer.init(jax.random.key(0), x), x).shape
    (8, 10)
  """

  def param(self, name: str, init_fn: Initializer, *args, **kwargs):
    """Return the parameter; `args` are its initialiser's, the shape first.

    Raises:
      flax.errors.ScopeParamShapeError: the parameter has another shape.
    """
    module = cast(nn.Module, self)
    if not module.has_variable('params', name):
      return super().param(name, init_fn, *args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
    held = module.variable('params', name).value
    if np.shape(held) != tuple(args[0]):
      path = cast(Scope, module.scope).path_text
      raise errors.ScopeParamShapeError(name, path, np.shape(held), tuple(args[0]))
    return held
