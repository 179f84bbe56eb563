"""Values that a user gave: Python's own, checked against the type of a default."""

import json
import math
import operator
from typing import Any

import numpy as np

from pidkd_jax.core.errors import UserError

_KINDS = {str: 'a text', bool: 'True or False', int: 'a whole number', float: 'a number'}
_KINDS |= {tuple: 'a list of numbers'}


def plain(like: Any, name: str, value: Any, needed: str = '') -> Any:
  """Return a value as Python's own in the type of another.

  Args:
    like: of the type.
    name: the subject of the message.
    value: to take; numbers may be those of numpy and of JAX.
    needed: ends the message; '' for the name of the type.

  Raises:
    UserError: it is of another type, or no finite number.

  Example:
    >>> plain(0.0, 'rate', np.float32(0.5)), plain((0.0, 1.0), 'drops', [1])
    (0.5, (1.0,))
  """
  kind = type(like)
  try:
    if isinstance(value, str | bytes) or kind is str:
      if not isinstance(value, kind):
        raise TypeError
      return value
    if _is_switch(value) or kind is bool:
      if not _is_switch(value) or kind is not bool:
        raise TypeError
      return bool(value)
    if kind is tuple:
      return tuple(plain(like[0] if like else one, name, one) for one in value)
    if kind is int:
      return operator.index(value)
    number = float(value)
  except (TypeError, ValueError, OverflowError, UserError) as error:
    needed = needed or f'{_KINDS[kind]} is needed'
    raise UserError(f'{name} is {value!r}; {needed}') from error
  if not math.isfinite(number):
    raise UserError(f'{name} is {value}; a finite number is needed')
  return number


def as_json(tree: Any) -> Any:
  """Return a tree as a JSON file gives it back: its tuples are lists.

  Example:
    >>> as_json({'drops': (0.0, 1.0)})
    {'drops': [0.0, 1.0]}
  """
  return json.loads(json.dumps(tree))


def array(values: Any) -> np.ndarray:
  """Return values as an array of numpy, also a tensor of PyTorch with a gradient or on a GPU.

  Raises:
    ValueError, TypeError, RuntimeError: they make no array.
  """
  detach = getattr(values, 'detach', None)
  return np.asarray(detach().cpu() if detach else values)


def _is_switch(value: Any) -> bool:
  return isinstance(value, bool) or getattr(value, 'dtype', None) == np.bool_
