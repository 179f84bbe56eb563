"""The short report that a run leaves in its own folder, and its summary for the terminal."""

import pathlib
import textwrap

from pidkd_jax.report import conclusion, paired_differences, protocol, run_folder, table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas, curves, overview, summary
from pidkd_jax.report.tables import accuracy, condensed, settings, trials

# Of the sentences in a terminal, in columns.
_WIDTH = 90
_FIGURES = {'overview': overview.draw, 'summary': summary.draw, 'curves': curves.draw}


def run(folder: pathlib.Path) -> str:
  """Write the report of one finished run into its folder.

  The files are report.md, main.csv, trials.csv, and overview.png, summary.png and curves.png.

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
    *(f'![{path.stem}]({path.name})\n\n*{caption}*' for path, caption in pictures.items()),
    *shown,
    '\n'.join(f'- {sentence}' for sentence in [*sentences, trials.note('trials.csv')]),
  ]
  report = folder / 'report.md'
  report.write_text('\n\n'.join(parts) + '\n')
  main = against_bundle or accuracy.short_columns(comparison, baseline)
  paths = [f'Picture: {path}' for path in list(pictures)[:1]] + [f'Report:  {report}']
  closing = [textwrap.fill(text, _WIDTH) for text in [*condensed.sentences(comparison), *shown]]
  return '\n\n'.join([table.to_markdown(main), '\n'.join(paths), *closing]) + '\n'


def _draw(
  comparison: Comparison, baseline: str | None, folder: pathlib.Path
) -> dict[pathlib.Path, str]:
  """Draw what the run has the figures for, and return {path: caption}."""
  captions = {}
  for name, draw in _FIGURES.items():
    if drawn := draw(comparison, baseline):
      figure, caption = drawn
      path = folder / f'{name}.png'
      canvas.save(figure, path)
      captions[path] = caption
  return captions
