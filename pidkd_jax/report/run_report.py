"""The short report that a run leaves in its own folder, and its summary for the terminal."""

import pathlib
import textwrap

from pidkd_jax.report import conclusion, paired_differences, protocol, run_folder, table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas, curves, summary
from pidkd_jax.report.tables import accuracy, condensed, settings, trials

# Of the sentences in a terminal, in columns.
_WIDTH = 90
_FIGURES = {'summary': summary.draw, 'curves': curves.draw}


def run(folder: pathlib.Path) -> str:
  """Write the report of one finished run into its folder.

  The files are report.md, summary.png, curves.png, main.csv and trials.csv.

  Args:
    folder: the run's folder; a cohort that was split by memory has its parts below it.

  Returns:
    A summary as Markdown: the table that matters most, the paths of picture and report, and what
    the run shows.

  Raises:
    UserError: A file in the folder is damaged.
  """
  runs, _ = run_folder.find([folder])
  comparison = Comparison(tuple(runs))
  baseline = None
  if len(comparison.labels) > 1:
    baseline = paired_differences.choose_baseline(comparison, None)
  pictures = _draw(comparison, baseline, folder)
  shown = conclusion.sentences(comparison)
  against_bundle = condensed.columns(comparison)
  tables = [accuracy.columns_with_time(comparison, baseline), settings.columns(comparison)]
  table.write_csv(tables[0], folder / 'main.csv')
  table.write_csv(trials.columns(comparison), folder / 'trials.csv')
  sentences = [*condensed.sentences(comparison), *protocol.sentences(comparison)]
  if baseline:
    sentences.append(paired_differences.explain(comparison, baseline))
  parts = [
    *(table.to_markdown(columns) for columns in [against_bundle, *tables] if columns),
    *(f'![{path.stem}]({path.name})' for path in pictures),
    *shown,
    '\n'.join(f'- {sentence}' for sentence in [*sentences, trials.note('trials.csv')]),
  ]
  report = folder / 'report.md'
  report.write_text('\n\n'.join(parts) + '\n')
  main = against_bundle or accuracy.short_columns(comparison, baseline)
  paths = [f'Picture: {path}' for path in pictures[:1]] + [f'Report:  {report}']
  closing = [textwrap.fill(text, _WIDTH) for text in [*condensed.sentences(comparison), *shown]]
  return '\n\n'.join([table.to_markdown(main), '\n'.join(paths), *closing]) + '\n'


def _draw(comparison: Comparison, baseline: str | None, folder: pathlib.Path) -> list[pathlib.Path]:
  """Draw what the run has the figures for, and return their paths."""
  paths = []
  for name, draw in _FIGURES.items():
    if drawn := draw(comparison, baseline):
      figure, _ = drawn
      path = folder / f'{name}.png'
      canvas.save(figure, path)
      paths.append(path)
  return paths
