"""Methods that the user wrote, named 'module:Class'."""

import dataclasses
import functools

from pidkd_jax.core import own_code
from pidkd_jax.core.errors import UserError
from pidkd_jax.methods.base import Method, hyperparameters

_KINDS = (bool, int, float, str)
# The optimizer's, which stand beside a method's own (`training.learner.Learner.hparams`).
_TAKEN = ('learning_rate', 'weight_decay')


def load(name: str) -> functools.partial[Method]:
  """Import what 'module:Class' names; it may be a `functools.partial` of a class, too.

  Raises:
    UserError: as `own_code.load` and `check`; or it is not a method.
  """
  found = own_code.load('method', name, Method)
  is_partial = isinstance(found, functools.partial)
  check(name, found.func if is_partial else found)
  return found if is_partial else functools.partial(found)


def check(name: str, method: object) -> None:
  """Check a class of the user's own against what `Method` demands.

  Args:
    name: of the class, for messages.
    method: the class.

  Raises:
    UserError: it is not a method, lacks `loss`, or has a field that is not a hyper-parameter or
      has the name of one of the optimizer's.
  """
  if not (isinstance(method, type) and issubclass(method, Method)):
    raise UserError(f'{name} is no method; make it a subclass of kd.methods.Method')
  if method.loss is Method.loss:
    raise UserError(f'{name} lacks loss, which a method must define')
  for field in hyperparameters(method).values():
    if field.name in _TAKEN:
      raise UserError(
        f"{field.name} of {name} has the name of the optimizer's; give the field another name"
      )
    if field.default is dataclasses.MISSING:
      raise UserError(f'{field.name} of {name} has no default; give it one')
    if not isinstance(field.default, _KINDS):
      raise UserError(
        f'{field.name} of {name} is {field.default!r} by default; hyper-parameters are of type '
        f'{", ".join(kind.__name__ for kind in _KINDS)}'
      )
