"""Measure all that is open on a GPU that is at hand for minutes.

    python -m benchmarks.gpu --minutes 12 --out FOLDER

Parts run in the order of their importance, each in a process of its own and within its own time.
The first six fit into 12 minutes. Every measurement is kept at once. The same command goes on where
it was stopped, and repeats nothing that the folder has. FOLDER/report.md and FOLDER/report.json
have the results, and what was not reached. They tell rows of other hardware or versions apart.

With --short, toys stand for the networks and the data. It shows on CPU that everything works; its
figures mean nothing.
"""

import argparse
import json
import pathlib
import sys

from benchmarks.gpu import report, runner
from benchmarks.gpu.parts import PARTS

MINUTES = 12.0


def main(arguments: list[str], start: runner.Start = runner.in_process) -> int:
  """Return the exit status: 2 for a mistake in the command line, else 0."""
  parser = argparse.ArgumentParser(
    'python -m benchmarks.gpu',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--minutes', type=float, default=MINUTES, help='for all parts together')
  parser.add_argument('--out', type=pathlib.Path, required=True, help='folder of the results')
  parser.add_argument('--short', action='store_true', help='toys, to see that it works')
  parser.add_argument(
    '--parts', nargs='+', choices=[part.name for part in PARTS], metavar='PART', help='only these'
  )
  given = parser.parse_args(arguments)
  given.out = given.out.absolute()  # Parts run in the folder of the checkout.
  given.out.mkdir(parents=True, exist_ok=True)
  settings = given.out / 'settings.json'
  if settings.exists() and json.loads(settings.read_text()) != {'short': given.short}:
    parser.error(
      f'{given.out} was measured with{"out" if given.short else ""} --short; give another'
    )
  settings.write_text(json.dumps({'short': given.short}))
  parts = [part for part in PARTS if part.name in (given.parts or [part.name])]
  try:
    runner.run(parts, given.out, 60 * given.minutes, given.short, start, _say)
  finally:  # Also on Ctrl-C.
    report.write(given.out, PARTS)
  print(f'report: {given.out / "report.md"}')
  return 0


def _say(line: str) -> None:
  print(line, flush=True)


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
