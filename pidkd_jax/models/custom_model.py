"""Models that the user wrote, named 'module:Class'."""

from collections.abc import Callable

from pidkd_jax.core import own_code
from pidkd_jax.core.errors import UserError
from pidkd_jax.models.base import Model, missing_method


def create(name: str, *, num_classes: int) -> Model:
  """Import what `name` names and make a model with it.

  Args:
    name: 'module:Class', or 'module:function' for a function that returns a model.
    num_classes: the only argument that the class or function is given.

  Raises:
    UserError: it cannot be imported or called, its result is not a `Model`, or that model lacks a
      method that the contract demands or has another number of classes.
  """
  constructor = load(name)
  try:
    model = constructor(num_classes=num_classes)
  except Exception as error:  # The user's code may raise anything.
    raise UserError(
      f'{name!r} cannot be made with num_classes={num_classes} alone ({error}); give its other '
      'fields defaults, or name a function that fills them in'
    ) from error
  if not isinstance(model, Model):
    raise UserError(
      f'{name!r} makes a {type(model).__name__}; a model is a subclass of pidkd_jax.models.Model'
    )
  if missing := missing_method(type(model)):
    raise UserError(f'{name!r} lacks {missing}, which a model must define')
  if model.num_classes != num_classes:
    raise UserError(
      f'{name!r} makes a network with num_classes={model.num_classes} where it is given '
      f'{num_classes}; pass on the number that it is given'
    )
  return model


def load(name: str) -> Callable[..., object]:
  """Import the class or function that 'module:attribute' names.

  Raises:
    UserError: as `own_code.load`; or it is neither, or lies within a function or a class.
  """
  if '.' in name.partition(':')[2]:
    raise UserError(
      f'model {name!r} lies within a function or a class, where no name finds it; define it at the '
      'top level of its module'
    )
  constructor = own_code.load('model', name, Model)
  if not callable(constructor):
    raise UserError(f'{name!r} is a {type(constructor).__name__}; a class or a function is needed')
  return constructor
