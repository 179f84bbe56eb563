"""The full report of one run or of many."""

import pathlib
import re
import shlex
from collections.abc import Iterable, Sequence

from pidkd_jax.core.errors import UserError, printable
from pidkd_jax.report import (
  contrasts,
  figures,
  paired_differences,
  protocol,
  published_results,
  run_folder,
  size_grid,
  table,
)
from pidkd_jax.report.comparison import Comparison, compare
from pidkd_jax.report.contrasts import Family
from pidkd_jax.report.figures import FIGURES, diagram
from pidkd_jax.report.parts import parameters
from pidkd_jax.report.published_results import PublishedResults
from pidkd_jax.report.table import Column
from pidkd_jax.report.tables import accuracy, condensed, cost, overview, settings, trials
from pidkd_jax.report.tables import contrasts as contrasts_table

_TITLE = '# Report'
# The files beside a report.
_TABLES = r'main|contrasts|condensed|sizes(-\d+)?|cost|settings|overview|pooled'
_FILES = re.compile(rf'trials\.csv|({_TABLES})\.(csv|tex)|({"|".join(FIGURES)})\.png')

_OVERVIEW = (
  'Each column is one comparison: its entries were trained on the same batches under one teacher. '
  'Columns are not paired with each other.'
)
_MEASURES = (
  'Entries are means ± sample standard deviations over n trials, of the network that the selection '
  'names. In bold are the best and all that cannot be told from it: the 95% interval of their '
  'paired difference holds 0. A row without a common trial was not compared with it. Agreement is '
  'the share of test images on which student and teacher predict the same class. ECE is the '
  'expected calibration error in 15 bins. The alignment error is the squared distance to the '
  "teacher's map, divided by the squared norm of that map. The best epoch on the test images is "
  'optimistic, as those images picked it.'
)
_COST = (
  "Own updates are a member's forward and backward passes, estimated from a sample of steps. The "
  "teacher's passes are made once for the whole cohort. Their seconds are shared equally among its "
  'members, even those that do not use the teacher.'
)
_MEMORY = (
  " Memory is that of one member's training step as XLA plans it for the compiled update; that of "
  'the teacher and of other members is not included.'
)


def study(
  folders: Sequence[pathlib.Path],
  out: pathlib.Path,
  baseline: str | None = None,
  published: pathlib.Path | None = None,
  asked: str = '',
) -> str:
  """Write report.md, each table as CSV and LaTeX, and PNG figures, from run folders alone.

  Runs are compared in one table if they have the same batches and the same teacher. Several
  comparisons get a section of the report and a folder below `out` each. Files of an earlier report
  in `out` are removed.

  Args:
    folders: folders of runs, or of studies that contain runs.
    out: the folder to write into.
    baseline: the label that others are compared with; None for that of simkd, else of scratch, else
      the first.
    published: a CSV file of results from elsewhere (see `published_results.read`), or None.
    asked: families of contrasts (see `contrasts.parse`); '' for every label against the baseline.

  Returns:
    The report as Markdown.

  Raises:
    UserError: There are no runs, a name is unknown, no contrast can be shown, a file is damaged, or
      `out` cannot be written or holds files of these names that are of no report.

  Example:
    >>> text = study([pathlib.Path('runs/methods')], pathlib.Path('out'))  # doctest: +SKIP
  """
  runs, unfinished = run_folder.find(folders)
  comparisons = compare(runs)
  paired_differences.require_baseline(comparisons, baseline)
  literature = _read_published(published, comparisons)
  known = {label for comparison in comparisons for label in comparison.labels}
  families = contrasts.parse(asked, known) if asked else ()
  contrasts.require(families, comparisons)
  items = [f'- Made by `{_command(folders, out, baseline, published, asked)}`.']
  if unfinished:
    items.append(f'- Left out, as they are not finished: {_format_paths(unfinished)}.')
  parts = [_TITLE, '\n'.join(items)]
  _read_files(comparisons)
  try:
    _require_own(out)
    out.mkdir(parents=True, exist_ok=True)
    _clear(out)
    (out / 'report.md').write_text(f'{_TITLE}\n', 'utf-8')  # So that it is ours if this is killed.
    if len(comparisons) > 1:
      parts += _overview(comparisons, families, out)
    for comparison, heading, name in zip(
      comparisons, _headings(comparisons), _folder_names(comparisons), strict=True
    ):
      section = _Section(comparison, baseline, literature, families, out, out / name)
      parts += [f'## {table.escape(heading)}', *section.write()]
    text = '\n\n'.join(parts) + '\n'
    (out / 'report.md').write_text(text, 'utf-8')
  except OSError as error:
    raise UserError(
      f'--out {str(out)!r} cannot be written: {error.strerror or error}; name another folder'
    ) from error
  return text


class _Section:
  """The report of one comparison; its files go to `folder`, within `out`."""

  def __init__(
    self,
    comparison: Comparison,
    requested: str | None,
    published: PublishedResults | None,
    families: Sequence[Family],
    out: pathlib.Path,
    folder: pathlib.Path,
  ):
    self._comparison = comparison
    self._requested = requested
    self._baseline = paired_differences.choose_baseline(comparison, requested)
    self._published = published
    self._asked = families
    self._families = contrasts.present(families, comparison)
    if not families and self._baseline:
      self._families = contrasts.to_baseline(comparison, self._baseline)
    self._out = out
    self._folder = folder

  def write(self) -> list[str]:
    """Write the files and return the section's paragraphs."""
    self._folder.mkdir(exist_ok=True)
    return [
      self._protocol(),
      *self._accuracy(),
      *self._contrasts(),
      *self._condensed(),
      *self._sizes(),
      *self._cost(),
      '### Settings',
      self._table('settings', settings.columns(self._comparison)),
      '### Figures',
      *self._figures(),
    ]

  def _table(self, name: str, columns: Sequence[Column]) -> str:
    return _write(columns, self._folder / name)

  def _protocol(self) -> str:
    items = [
      *map(table.escape, protocol.sentences(self._comparison)),
      f'Runs: {_format_paths(run.folder for run in self._comparison.runs)}.',
      protocol.SHARED,
    ]
    return '\n'.join(f'- {item}' for item in items)

  def _accuracy(self) -> list[str]:
    columns = accuracy.columns(self._comparison, self._baseline, self._published)
    parts = ['### Accuracy', self._table('main', columns), _MEASURES]
    if self._baseline is None:
      parts.append(f'There is no {self._requested} here to compare with.')
    elif len(self._comparison.labels) > 1:
      explained = paired_differences.explain(self._comparison, self._baseline)
      parts.append(table.escape(explained))
    if self._published:
      parts.append(self._published.note)
    path = self._folder / 'trials.csv'
    table.write_csv(trials.columns(self._comparison), path)
    return [*parts, trials.note(path.relative_to(self._out).as_posix())]

  def _contrasts(self) -> list[str]:
    columns = contrasts_table.columns(self._comparison, self._families)
    shown = [self._table('contrasts', columns), contrasts_table.NOTE] if columns else []
    left_out = contrasts_table.left_out(self._comparison, self._asked)
    texts = [*shown, *([table.escape(left_out)] if left_out else [])]
    return ['### Contrasts', *texts] if texts else []

  def _condensed(self) -> list[str]:
    columns = condensed.columns(self._comparison)
    if not columns:
      return []
    sentences = '\n'.join(f'- {table.escape(x)}' for x in condensed.sentences(self._comparison))
    return ['### Against the bundle', self._table('condensed', columns), sentences]

  def _sizes(self) -> list[str]:
    parts = []
    for number, grid in enumerate(size_grid.find_grids(self._comparison), start=1):
      name = 'sizes' if number == 1 else f'sizes-{number}'
      parts += ['### Size of the projectors', self._table(name, grid.columns())]
      parts.append(table.escape(grid.choice))
    return parts

  def _cost(self) -> list[str]:
    columns = cost.columns(self._comparison)
    has_memory = any('memory' in column.heading for column in columns)
    note = _COST + (_MEMORY if has_memory else '')
    return ['### Cost of training', self._table('cost', columns), note]

  def _figures(self) -> list[str]:
    parts = []
    saved = figures.save(FIGURES, self._comparison, self._baseline, self._folder)
    for path, caption in saved.items():
      parts += [
        f'![{path.stem}]({path.relative_to(self._out).as_posix()})',
        f'*{table.escape(caption)} {protocol.SHARED}*',
      ]
    return parts


def _read_files(comparisons: Iterable[Comparison]) -> None:
  """Read outputs, images and drawn networks, so that damage raises before anything is written."""
  for comparison in comparisons:
    for run in comparison.runs:
      _ = run.examples
      for trial in (*run.trials, run.teacher, run.origin):
        _ = trial and trial.outputs
    _ = comparison.correct
    parameters(diagram.choose(comparison))


def _is_report(path: pathlib.Path) -> bool:
  return path.is_file() and path.read_text('utf-8', 'replace').split('\n', 1)[0] == _TITLE


def _require_own(out: pathlib.Path) -> None:
  """Raise UserError where files of a report's names are of no report."""
  if not out.is_dir() or _is_report(out / 'report.md'):
    return
  for path in sorted(out.iterdir()):
    if path.name == 'report.md' or _FILES.fullmatch(path.name):
      raise UserError(
        f'--out {str(out)!r} has {path.name!r}, which is of no report; name another folder'
      )


def _clear(out: pathlib.Path) -> None:
  """Remove tables and figures of an earlier report, which this one might not write again."""
  if not _is_report(out / 'report.md'):
    return
  sections = [path for path in out.glob('[0-9]*-*') if path.is_dir() and not path.is_symlink()]
  for folder in (out, *sections):
    for path in list(folder.iterdir()):
      if _FILES.fullmatch(path.name):
        path.unlink()
    if folder != out and not any(folder.iterdir()):
      folder.rmdir()


def _write(columns: Sequence[Column], path: pathlib.Path) -> str:
  """Write a table as CSV and LaTeX, at a path without its suffix, and return it as Markdown."""
  table.write_csv(columns, path.with_name(f'{path.name}.csv'))
  path.with_name(f'{path.name}.tex').write_text(table.to_latex(columns), 'utf-8')
  return table.to_markdown(columns)


def _overview(
  comparisons: Sequence[Comparison], families: Sequence[Family], out: pathlib.Path
) -> list[str]:
  columns = overview.columns(dict(zip(_headings(comparisons), comparisons, strict=True)))
  parts = ['## Overview', _write(columns, out / 'overview'), _OVERVIEW]
  pooled, note = contrasts_table.pooled(comparisons, families)
  if pooled:
    parts += [_write(pooled, out / 'pooled'), note]
  return parts


def _read_published(
  path: pathlib.Path | None, comparisons: Sequence[Comparison]
) -> PublishedResults | None:
  if path is None:
    return None
  if len(comparisons) > 1:
    raise UserError(
      f'--published is for one comparison and the runs make {len(comparisons)}; report them one '
      'by one'
    )
  return published_results.read(path, ['teacher', *comparisons[0].labels])


def _headings(comparisons: Sequence[Comparison]) -> list[str]:
  """Return the sections' headings, numbered, as two may differ only in the recipe."""
  headings = []
  for number, comparison in enumerate(comparisons, start=1):
    training = comparison.card['training']
    epochs = training['recipe']['total_epochs']
    counts = sorted({len(trials) for trials in comparison.labels.values()})
    number_of_trials = ' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    heading = f'{comparison.title}, {epochs} epochs, n = {number_of_trials}'
    if training['seed']:
      heading += f', seed {training["seed"]}'
    headings.append(heading if len(comparisons) == 1 else f'{number}. {heading}')
  return headings


def _folder_names(comparisons: Sequence[Comparison]) -> list[str]:
  """Return the names of the sections' folders; '' for a single comparison."""
  if len(comparisons) == 1:
    return ['']
  names = []
  for number, comparison in enumerate(comparisons, start=1):
    student = comparison.runs[0].trials[0].network
    epochs = comparison.card['training']['recipe']['total_epochs']
    words = [str(number), comparison.teacher_name, student, f'{epochs}epochs']
    names.append(re.sub(r'[^\w.+-]', '.', '-'.join(word for word in words if word)))
  return names


def _command(folders, out, baseline, published, asked) -> str:
  words = ['pidkd', 'report', *map(str, folders), '--out', str(out)]
  words += ['--baseline', baseline] if baseline else []
  words += ['--published', str(published)] if published else []
  words += ['--contrasts', asked] if asked else []
  return shlex.join(words)


def _format_paths(paths: Iterable[pathlib.Path]) -> str:
  # A code span ends at a backtick, and shows the rest as it is.
  return ', '.join(f'`{printable(str(path)).replace("`", "?")}`' for path in paths)
