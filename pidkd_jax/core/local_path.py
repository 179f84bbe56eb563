"""The path of a folder or file that the user named."""

import os
import pathlib

from pidkd_jax.core.errors import UserError


def resolve(name: str, path: str) -> pathlib.Path:
  """Return the path of a folder that the user named.

  Args:
    name: of the flag or field, for messages.
    path: as the user wrote it.

  Raises:
    UserError: the path is empty, looks like a flag, is on a remote store, or names an unknown user.
  """
  if not path:
    raise UserError(f'no {name} was given; name a folder')
  if path.startswith('-'):
    raise UserError(f'{name} {path!r} looks like a flag; name a folder')
  if '://' in path:
    raise UserError(
      f'{name} {path!r} is not on a local disk; name a local folder, and copy from or to it'
    )
  return expanded(name, path)


def expanded(name: str, path: str | os.PathLike[str]) -> pathlib.Path:
  """Return the path of a folder, in which '~' stands for a home.

  Args:
    name: of what the path is, for messages.
    path: as the user wrote it.

  Raises:
    UserError: the path names an unknown user.
  """
  try:
    place = pathlib.Path(path).expanduser()
  except RuntimeError as error:
    raise UserError(f'{name} {str(path)!r}: there is no such user; name a folder') from error
  # '.' has no name and no parent of its own, beside which other folders could lie.
  return place if place.name not in ('', '..') else place.resolve()
