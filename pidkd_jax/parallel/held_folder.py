"""A locked folder is still the one that was locked."""

import pathlib

from pidkd_jax.core import file_lock
from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import processes


def check(folder: pathlib.Path) -> None:
  """Check, in all processes, that nobody removed a folder, and that no other run took its place.

  Raises:
    UserError: somebody did. Nothing is to be written there.
  """
  [lost] = processes.any_process(file_lock.is_lost(folder))
  if lost:
    raise UserError(
      f'{str(folder)!r} was removed, renamed or replaced while this run trained; the run ends, and '
      'writes nothing into what lies there now'
    )
