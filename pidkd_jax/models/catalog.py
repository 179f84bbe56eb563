"""The models by name."""

import math

from pidkd_jax.core import own_code, registry
from pidkd_jax.core.errors import UserError
from pidkd_jax.models import custom_model
from pidkd_jax.models.base import Model

_PACKAGE = 'pidkd_jax.models'


def names() -> list[str]:
  """Return the names that `create` accepts, sorted; it also accepts 'module:Class'."""
  return list(registry.discover(_PACKAGE, 'MODELS'))


def create(name: str, *, num_classes: int) -> Model:
  """Create the model called `name`.

  Args:
    name: one of `names()`, or 'module:Class' for a model that the user wrote. Such a name imports
      the module, so it must come from the user. 'NAME*1.5' has one and a half times the channels
      of NAME (`Model.widened`).
    num_classes: K, the classes that its classifier tells apart.

  Raises:
    UserError: there is no such model; its widths are fixed; or the user's own cannot be imported,
      cannot be made, or is not a `Model`. The message names the nearest name.

  Example:
    >>> model = kd.models.create('resnet14', num_classes=10)
    >>> variables = jax.jit(model.init)(jax.random.key(0), jnp.ones((1, 32, 32, 3)))
    >>> jax.jit(model.apply)(variables, jnp.ones((8, 32, 32, 3))).shape
    (8, 10)
  """
  narrower, times, factor = name.rpartition('*')
  if times:
    return create(narrower, num_classes=num_classes).widened(_width_factor(narrower, factor))
  if own_code.is_own(name):
    return custom_model.create(name, num_classes=num_classes)
  found = registry.find('model', _PACKAGE, 'MODELS', name, 'pidkd networks')
  return found(num_classes=num_classes)


# A larger factor of a width is no network that a machine holds.
_WIDEST = 10_000


def _width_factor(name: str, text: str) -> float:
  try:
    factor = float(text)
  except ValueError:
    factor = math.nan
  if not 0 < factor <= _WIDEST:
    raise UserError(
      f"model '{name}*{text}': {text!r} is no number above 0 and up to {_WIDEST:,}; "
      f'write e.g. {name}*1.5'
    )
  return factor
