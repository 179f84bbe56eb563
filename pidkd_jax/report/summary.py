"""The short report that a run leaves in its own folder."""

import pathlib

from pidkd_jax.report import condensed, header, paired, runs, sheet, tables
from pidkd_jax.report.figures import SAVING, curves
from pidkd_jax.report.runs import Comparison


def run(folder: pathlib.Path) -> str:
  """Writes report.md and curves.png of one finished run or of its parts, from its folder alone.

  Args:
    folder: of the run.

  Returns:
    The report, Markdown.

  Raises:
    UserError: a file in it is damaged.
  """
  found, _ = runs.find([folder])
  comparison = Comparison(tuple(found))
  # With one label there is nothing to compare.
  base = paired.baseline(comparison, None) if len(comparison.labels) > 1 else None
  lines = [*header.facts(comparison)]
  if base:
    lines.append(paired.explanation(comparison, base))
  found = [tables.compact(comparison, base), tables.settings(comparison)]
  if against := condensed.columns(comparison):
    found.insert(0, against)
    lines = [*condensed.lines(comparison), *lines]
  listed = '\n'.join(f'- {line}' for line in lines)
  text = '\n\n'.join([*map(sheet.markdown, found), listed]) + '\n'
  (folder / 'report.md').write_text(text)
  drawn = curves.draw(comparison, base)
  if drawn:
    drawn[0].savefig(folder / 'curves.png', **SAVING)
  return text
