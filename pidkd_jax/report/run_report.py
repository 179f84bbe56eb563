"""The short report that a run leaves in its own folder, and its summary for the screen."""

import dataclasses
import pathlib
from collections.abc import Iterable

from pidkd_jax.core.screen import Summary
from pidkd_jax.report import (
  conclusion,
  figures,
  paired_differences,
  protocol,
  run_folder,
  table,
)
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.tables import accuracy, brief, condensed, settings, trials
from pidkd_jax.training import log

_FIGURES = ('overview', 'summary', 'curves')


def run(folder: pathlib.Path) -> Summary:
  """Write the report of one finished run into its folder.

  The files are report.md, main.csv, trials.csv, and overview.png, summary.png and curves.png.

  Args:
    folder: the run's folder; a cohort that was split by memory has its parts below it. Other runs
      below it are left alone.

  Returns:
    A summary for the screen: the columns that matter most, what the run shows, and where its files
    lie.

  Raises:
    UserError: The folder holds no finished run of students, or a file in it is damaged.
  """
  comparison = Comparison(tuple(run_folder.read_whole(folder)))
  baseline = None
  if len(comparison.labels) > 1:
    baseline = paired_differences.choose_baseline(comparison, None)
  shown = conclusion.sentences(comparison)
  against_bundle = condensed.columns(comparison)
  tables = [accuracy.columns_with_time(comparison, baseline), settings.columns(comparison)]
  pictures = figures.save(_FIGURES, comparison, baseline, folder)
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
  (folder / 'report.md').write_text('\n\n'.join(parts) + '\n', 'utf-8')
  said = brief.summary(comparison)
  return dataclasses.replace(
    said,
    notes=(*said.notes, *condensed.sentences(comparison), *shown),
    folder=str(folder),
    places=_places(folder, comparison, pictures),
  )


def _places(
  folder: pathlib.Path, comparison: Comparison, pictures: Iterable[pathlib.Path]
) -> dict[str, tuple[str, ...]]:
  """Return {kind of file: paths in the folder} of what a reader looks for."""
  bundles = dict.fromkeys((run.folder / 'bundles').relative_to(folder) for run in comparison.runs)
  return {
    'report': ('report.md', *_there(folder, 'main.csv', 'trials.csv', 'metrics.csv')),
    'pictures': tuple(path.name for path in pictures),
    'bundles': tuple(map(str, bundles)),
    'log': _there(folder, log.FILE),
  }


def _there(folder: pathlib.Path, *names: str) -> tuple[str, ...]:
  return tuple(name for name in names if (folder / name).exists())
