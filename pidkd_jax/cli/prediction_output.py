"""The results of `pidkd predict`: lines on the screen, and a CSV file."""

import contextlib
import csv
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Sequence

import tqdm

from pidkd_jax.core.errors import UserError, printable

# For each image its name, how it came to the network's size, and [(class, probability), ...].
Write = Callable[[str, str, Sequence[tuple[str, float]]], None]

_HEADER = ('file', 'class', 'probability')
# So many images have a paragraph each; of more, each has a line.
_FEW = 10
# So many lines are printed where a CSV file has them all.
_LINES = 20
# Bytes; names of files have at most 255, and that of the unfinished file is longer.
_LONGEST_NAME = 240


def check(out: pathlib.Path | None) -> None:
  """Check that a CSV file may be written.

  Raises:
    UserError: something else is there, or its folder is not, or its name is too long.
  """
  if not out:
    return
  if len(os.fsencode(out.name)) > _LONGEST_NAME:
    raise UserError(f'--out {str(out)!r} has too long a name; give a shorter one')
  if not out.parent.is_dir():
    raise UserError(f'--out {str(out)!r}: there is no folder {str(out.parent)!r}; make it')
  if out.exists() and not _is_ours(out):
    raise UserError(
      f'--out {str(out)!r} is there and holds no predictions; give another file, or remove it'
    )


def _is_ours(path: pathlib.Path) -> bool:
  with contextlib.suppress(OSError):
    if path.is_file():
      with path.open('rb') as file:
        return file.readline(100).startswith(','.join(_HEADER).encode())
  return False


@contextlib.contextmanager
def writing(out: pathlib.Path | None, names: Sequence[str], k: int) -> Iterator[Write]:
  """Yield a function that prints an image's result and writes it to the CSV file.

  The file takes its place at the end; an error leaves the one that was there.

  Args:
    out: the CSV file, or None.
    names: of all images.
    k: the number of classes of each.
  """
  screen = _Screen(names, bool(out))
  if not out:
    yield screen.write
    return
  part = out.with_name(f'.{out.name}.partial')
  try:
    with part.open('w', newline='', encoding='utf-8', errors='surrogateescape') as file:
      table = csv.writer(file, lineterminator='\n')
      more = (f'{name}_{i}' for i in range(2, k + 1) for name in _HEADER[1:])
      table.writerow([*_HEADER, *more, 'image'])

      def write(name, note, best):
        screen.write(name, note, best)
        table.writerow([name, *(v for c, p in best for v in (c, f'{p:.6f}')), note])

      yield write
    part.replace(out)
  finally:
    part.unlink(missing_ok=True)


class _Screen:
  """Prints results: a paragraph for each of a few images, otherwise a line."""

  def __init__(self, names: Sequence[str], filed: bool):
    self._count, self._filed, self._written = len(names), filed, 0
    self._width = shutil.get_terminal_size((100, 24)).columns
    self._room = min(max(map(len, names)), max(20, self._width // 2))

  def write(self, name: str, note: str, best: Sequence[tuple[str, float]]) -> None:
    self._written += 1
    if self._count <= _FEW:
      lines = [f'{name} ({note})', *(f'  {100 * p:6.2f}%  {c}' for c, p in best)]
    elif not self._filed or self._written <= _LINES:
      lines = [self._line(name, best)]
    elif self._written == _LINES + 1:
      lines = [f'and {self._count - _LINES:,} more']
    else:
      lines = []
    for line in lines:
      tqdm.tqdm.write(printable(line))  # Above a bar, if there is one.

  def _line(self, name: str, best: Sequence[tuple[str, float]]) -> str:
    """Return as many classes as the line has room for, behind the end of the name."""
    short = name if len(name) <= self._room else f'…{name[1 - self._room :]}'
    line = f'{short:<{self._room}}'
    for number, (label, probability) in enumerate(best):
      cell = f'  {100 * probability:5.1f}% {label}'
      if number and len(line) + len(cell) > self._width:
        break
      line += cell
    return line
