"""Code that the user wrote, named 'module:Class'.

An import runs code. So only names that the user gives are imported, never a name that a file holds.
"""

import contextlib
import importlib
import importlib.util
import re
import traceback
import types
from collections.abc import Iterator
from typing import Any

from pidkd_jax.core.errors import UserError, describe_error, unknown_name


def is_own(name: str) -> bool:
  """Return whether a name is that of the user's own code.

  Example:
    >>> is_own('my_package.my_methods:Cosine'), is_own('pidkd')
    (True, False)
  """
  return ':' in name


def load(kind: str, name: str, base: type) -> Any:
  """Import what 'module:attribute' names.

  Args:
    kind: of thing that is named, e.g. 'model'.
    name: as the user wrote it.
    base: class of such things; the module's subclasses are named where it lacks the attribute.

  Raises:
    UserError: the name has another form, the module cannot be imported, or it lacks the attribute.
  """
  if not re.fullmatch(r'\w+(\.\w+)*:\w+', name):
    raise UserError(f'{kind} {name!r}: a {kind} of your own is named package.module:Class')
  module_name, _, attribute = name.partition(':')
  try:
    module = importlib.import_module(module_name)
  except ModuleNotFoundError as error:
    remedy = 'start in the folder that holds it, or put that folder into PYTHONPATH'
    if not f'{module_name}.'.startswith(f'{error.name}.'):
      remedy = f'{module_name} needs it; install it'
    raise UserError(f'{kind} {name!r}: there is no module {error.name!r}; {remedy}') from error
  except Exception as error:  # The user's code may raise anything.
    reason = describe_error(error, _source_file(module_name))
    raise UserError(f'{kind} {name!r}: its module cannot be imported: {reason}; mend it') from error
  found = getattr(module, attribute, None)
  if found is None:
    known = _subclasses(module, base)
    if not known:
      raise UserError(f'{kind} {name!r}: {module_name!r} has no {attribute!r}; define it there')
    raise unknown_name(f'{kind} of {module_name!r}', attribute, known)
  return found


@contextlib.contextmanager
def explain_errors(*names: str) -> Iterator[None]:
  """Turn an exception within the context into one line, if code of the user's own is in use.

  Args:
    *names: of what is in use. If none is 'module:Class', the exception passes unchanged.

  Raises:
    UserError: names the user's code, the exception, and its line in the user's file.
  """
  try:
    yield
  except UserError:
    raise
  except Exception as error:
    files = {name: _source_file(name.partition(':')[0]) for name in names if is_own(name)}
    if not files:
      raise
    passed = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    # The file that the error passed through last, or any of them.
    guilty = next((file for file in reversed(passed) if file in files.values()), '')
    own = [name for name, file in files.items() if guilty in ('', file)]
    reason = describe_error(error, guilty)
    raise UserError(f'{" or ".join(own)} fails: {reason}; mend it') from error


def passed(error: BaseException, name: str) -> bool:
  """Return whether an exception passed through the file of the code that `name` names."""
  file = _source_file(name.partition(':')[0])
  return any(frame.filename == file for frame in traceback.extract_tb(error.__traceback__))


def _source_file(module_name: str) -> str:
  """Return the path of a module, or '' where a package above it cannot be imported."""
  try:
    spec = importlib.util.find_spec(module_name)
  except Exception:
    return ''
  return (spec and spec.origin) or ''


def _subclasses(module: types.ModuleType, base: type) -> list[str]:
  return [
    name
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
  ]
