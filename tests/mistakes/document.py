"""Write docs/reference/mistakes.md: what each mistake of the table prints.

python -m tests.mistakes.document
"""

import html
import pathlib
import sys
import tempfile

from tests.forks import ROOT, Forks
from tests.mistakes import material
from tests.mistakes.place import Place, command
from tests.mistakes.table import MISTAKES

PATH = ROOT / 'docs' / 'reference' / 'mistakes.md'
_HEAD = """# Mistakes, and what they print

`python -m tests.mistakes.document` makes this page. `tests/test_mistakes.py` makes every mistake
again, and accepts no traceback, no exit status 0 and no file that was added, removed or changed.
The table is `tests/mistakes/table.py`; `tests/mistakes/generated.py` adds the rows that follow from
the bounds of flags and fields and from the registered names; `tests/mistakes/material.py` makes the
files. Exit status 2 is for the command line, 1 for everything else. HOME is the folder where a
command starts. Arguments that all rows of a command share are left out.
"""
_LONGEST = 300


def line(what: str, typed: str, said: str, status: int) -> str:
  """Return a row; a longer message ends in dots."""
  said = said if len(said) <= _LONGEST else f'{said[:_LONGEST]}...'
  typed = typed if len(typed) <= _LONGEST // 2 else f'{typed[: _LONGEST // 2]}...'
  cells = (what, f'<code>{_cell(typed)}</code>', _cell(said), str(status))
  return f'| {" | ".join(cells)} |'


def _cell(text: str) -> str:
  return html.escape(text, quote=False).replace('|', '\\|').replace('*', '\\*').replace('~', '\\~')


def main() -> None:
  with tempfile.TemporaryDirectory() as folder, Forks() as forks:
    home, cache = pathlib.Path(folder, 'home'), pathlib.Path(folder, 'cache')
    home.mkdir()
    material.make(home)
    place = Place(home, cache, forks)
    parts = [_HEAD]
    for kind, mistakes in MISTAKES.items():
      rows = [f'## {kind}\n', '| what is wrong | given | printed | status |', '|--|--|--|--|']
      for mistake in mistakes:
        done = place.make(mistake)
        rows.append(line(mistake.what, command(mistake), place.said(done), done.returncode))
        print(rows[-1], file=sys.stderr)
      parts.append('\n'.join(rows) + '\n')
  PATH.write_text('\n'.join(parts))


if __name__ == '__main__':
  main()
