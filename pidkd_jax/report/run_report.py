"""The short report that a run leaves in its own folder."""

import pathlib

from pidkd_jax.report import paired_differences, protocol, run_folder, table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import SAVEFIG_OPTIONS, curves
from pidkd_jax.report.tables import accuracy, condensed, settings


def run(folder: pathlib.Path) -> str:
  """Write report.md and curves.png of one finished run into its folder.

  Args:
    folder: the run's folder; a cohort that was split by memory has its parts below it.

  Returns:
    The report as Markdown.

  Raises:
    UserError: A file in the folder is damaged.
  """
  runs, _ = run_folder.find([folder])
  comparison = Comparison(tuple(runs))
  baseline = None
  if len(comparison.labels) > 1:
    baseline = paired_differences.choose_baseline(comparison, None)
  sentences = protocol.sentences(comparison)
  if baseline:
    sentences.append(paired_differences.explain(comparison, baseline))
  tables = [accuracy.columns_with_time(comparison, baseline), settings.columns(comparison)]
  if against_bundle := condensed.columns(comparison):
    tables.insert(0, against_bundle)
    sentences = [*condensed.sentences(comparison), *sentences]
  items = '\n'.join(f'- {sentence}' for sentence in sentences)
  text = '\n\n'.join([*map(table.to_markdown, tables), items]) + '\n'
  (folder / 'report.md').write_text(text)
  if drawn := curves.draw(comparison, baseline):
    figure, _ = drawn
    figure.savefig(folder / 'curves.png', **SAVEFIG_OPTIONS)
  return text
