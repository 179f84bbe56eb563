"""Models that the user wrote, named 'module:Class'.

Only names that the user gives are imported, never a name that a file holds.
"""

import contextlib
import importlib
import importlib.util
import re
import types
from collections.abc import Callable, Iterator

from pidkd_jax.core.errors import UserError, describe_error, unknown_name
from pidkd_jax.models.base import Model, missing_method


def create(name: str, *, num_classes: int) -> Model:
  """Import what `name` names and make a model with it.

  Args:
    name: 'module:Class', or 'module:function' for a function that returns a model.
    num_classes: the only argument that the class or function is given.

  Raises:
    UserError: it cannot be imported or called, its result is not a `Model`, or that model lacks a
      method that the contract demands.
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
  return model


def load(name: str) -> Callable[..., object]:
  """Import the class or function that 'module:attribute' names.

  Raises:
    UserError: the name has another form, the module cannot be imported, or it has no such class
      or function.
  """
  if not re.fullmatch(r'\w+(\.\w+)*:\w+', name):
    raise UserError(f'model {name!r}: a model of your own is named package.module:Class')
  module_name, _, attribute = name.partition(':')
  try:
    module = importlib.import_module(module_name)
  except ModuleNotFoundError as error:
    remedy = 'start in the folder that holds it, or put that folder into PYTHONPATH'
    if not f'{module_name}.'.startswith(f'{error.name}.'):
      remedy = f'{module_name} needs it; install it'
    raise UserError(f'model {name!r}: there is no module {error.name!r}; {remedy}') from error
  except Exception as error:  # The user's code may raise anything.
    reason = describe_error(error, _source_file(module_name))
    raise UserError(f'model {name!r}: its module cannot be imported: {reason}; mend it') from error
  constructor = getattr(module, attribute, None)
  if constructor is None:
    raise unknown_name(f'model of {module_name!r}', attribute, _model_classes(module))
  if not callable(constructor):
    raise UserError(f'{name!r} is a {type(constructor).__name__}; a class or a function is needed')
  return constructor


@contextlib.contextmanager
def explain_errors(*names: str) -> Iterator[None]:
  """Turn an exception within the context into one line, if a model in use is the user's own.

  Args:
    *names: of the models in use. If none is 'module:Class', the exception passes unchanged.

  Raises:
    UserError: names the user's model, the exception, and its line in the model's file.
  """
  try:
    yield
  except UserError:
    raise
  except Exception as error:
    custom = [name for name in names if ':' in name]
    if not custom:
      raise
    reasons = [describe_error(error, _source_file(name.partition(':')[0])) for name in custom]
    # The longest is that of the file which the error passed through: it names a line.
    reason = max(reasons, key=len)
    raise UserError(f'{" or ".join(custom)} fails: {reason}; mend it') from error


def _source_file(module_name: str) -> str:
  """Return the path of a module, or '' where a package above it cannot be imported."""
  try:
    spec = importlib.util.find_spec(module_name)
  except Exception:
    return ''
  return (spec and spec.origin) or ''


def _model_classes(module: types.ModuleType) -> list[str]:
  return [
    name
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Model) and value is not Model
  ]
