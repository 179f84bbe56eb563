"""The whole report of one run or of many."""

import pathlib
import re
import shlex
from collections.abc import Sequence

from pidkd_jax.core.errors import UserError
from pidkd_jax.report import condensed, grid, header, paired, runs, sheet, tables
from pidkd_jax.report import published as literature
from pidkd_jax.report.figures import FIGURES, SAVING
from pidkd_jax.report.published import Published
from pidkd_jax.report.runs import Comparison

_OVERVIEW = (
  'One row a comparison: what stands in a row was trained on the same batches under one teacher; '
  'rows are not paired with each other.'
)
_MEASURES = (
  'Means ± sample standard deviations over n trials, of the network that the selection names. '
  'Agreement is the share of test images on which student and teacher predict the same; ECE is '
  'the expected calibration error in 15 bins; the alignment error is the squared distance to the '
  "teacher's map over that map's own square. The best epoch on the test images is optimistic, as "
  'they picked it.'
)
_COST = (
  "Own updates are a member's forward and backward passes, estimated from a sample of steps; the "
  "share is the seconds of the teacher's passes, made once for the whole cohort, over its members, "
  'whether or not they listen to it.'
)
_MEMORY = (
  " Memory is that of one member's training step as XLA plans it for the compiled update; the "
  "teacher's and other members' is not in it."
)


def study(
  folders: Sequence[pathlib.Path],
  out: pathlib.Path,
  baseline: str | None = None,
  published: pathlib.Path | None = None,
) -> str:
  """Writes report.md, a CSV file of each table and PNG figures, from run folders alone.

  Args:
    folders: of runs, or of studies that hold runs.
    out: where it goes; of several comparisons each has a folder of its own below.
    baseline: the label that others are compared with; by default simkd, else scratch, else the
      first.
    published: a CSV file of figures from elsewhere (`published.read`).

  Returns:
    The report, Markdown.

  Raises:
    UserError: there are no runs, a name is unknown, a file is damaged or cannot be written.
  """
  found, unfinished = runs.find(folders)
  comparisons = runs.compared(found)
  paired.check(comparisons, baseline)
  known = _published(published, comparisons)
  lines = [f'- Made by `{_command(folders, out, baseline, published)}`.']
  if unfinished:
    lines.append(f'- Left out, as they are not finished: {_listed(unfinished)}.')
  parts = ['# Report', '\n'.join(lines)]
  for trial in (trial for run in found for trial in (*run.trials, run.teacher) if trial):
    _ = trial.outputs  # Whatever is damaged comes out before anything is written.
  try:
    out.mkdir(parents=True, exist_ok=True)
    if len(comparisons) > 1:
      parts += _overview(comparisons, out)
    for comparison, heading, name in zip(
      comparisons, _headings(comparisons), _names(comparisons), strict=True
    ):
      base = paired.baseline(comparison, baseline)
      place = out / name
      place.mkdir(exist_ok=True)
      parts += [f'## {heading}', *_section(comparison, base, baseline, known, out, place)]
    text = '\n\n'.join(parts) + '\n'
    (out / 'report.md').write_text(text)
  except OSError as error:
    raise UserError(
      f'--out {str(out)!r} cannot be written: {error.strerror or error}; name another folder'
    ) from error
  return text


def _section(
  comparison: Comparison,
  base: str | None,
  wanted: str | None,
  published: Published | None,
  out: pathlib.Path,
  place: pathlib.Path,
) -> list[str]:
  """The paragraphs of a comparison; its files go to `place`."""

  def table(name, columns):
    sheet.save(columns, place / f'{name}.csv')
    return sheet.markdown(columns)

  facts = [
    *header.facts(comparison),
    f'Runs: {_listed(run.folder for run in comparison.runs)}.',
    header.SHARED,
  ]
  parts = ['\n'.join(f'- {fact}' for fact in facts)]
  parts += ['### Accuracy', table('main', tables.main(comparison, base, published)), _MEASURES]
  if base is None:
    parts.append(f'There is no {wanted} here to compare with.')
  elif len(comparison.labels) > 1:
    parts.append(paired.explanation(comparison, base))
  if published:
    parts.append(published.note)
  if against := condensed.columns(comparison):
    parts += ['### Against the bundle', table('condensed', against)]
    parts.append('\n'.join(f'- {line}' for line in condensed.lines(comparison)))
  for i, sizes in enumerate(grid.grids(comparison), start=1):
    name = 'sizes' if i == 1 else f'sizes-{i}'
    parts += ['### Size of the projectors', table(name, sizes.columns()), sizes.choice]
  costs = tables.cost(comparison)
  memory = any('memory' in column.heading for column in costs)
  parts += ['### Cost of training', table('cost', costs), _COST + (_MEMORY if memory else '')]
  parts += ['### Settings', table('settings', tables.settings(comparison))]
  parts.append('### Figures')
  for name, draw in FIGURES.items():
    drawn = draw(comparison, base)
    if drawn:
      figure, caption = drawn
      path = place / f'{name}.png'
      figure.savefig(path, **SAVING)
      parts += [f'![{name}]({path.relative_to(out).as_posix()})', f'*{caption} {header.SHARED}*']
  return parts


def _overview(comparisons: Sequence[Comparison], out: pathlib.Path) -> list[str]:
  columns = tables.overview(dict(zip(_headings(comparisons), comparisons, strict=True)))
  sheet.save(columns, out / 'overview.csv')
  return ['## Overview', sheet.markdown(columns), _OVERVIEW]


def _published(path: pathlib.Path | None, comparisons: Sequence[Comparison]) -> Published | None:
  if path is None:
    return None
  if len(comparisons) > 1:
    raise UserError(
      f'--published is for one comparison and the runs make {len(comparisons)}; report them one '
      'by one'
    )
  return literature.read(path, ['teacher', *comparisons[0].labels])


def _headings(comparisons: Sequence[Comparison]) -> list[str]:
  """Numbered, as two may be alike but for the recipe."""
  found = []
  for number, comparison in enumerate(comparisons, start=1):
    training = comparison.card['training']
    epochs = training['recipe']['total_epochs']
    text = f'{comparison.title}, {epochs} epochs, seed {training["seed"]}'
    found.append(text if len(comparisons) == 1 else f'{number}. {text}')
  return found


def _names(comparisons: Sequence[Comparison]) -> list[str]:
  """Of their folders: none where there is one comparison."""
  if len(comparisons) == 1:
    return ['']
  names = []
  for number, comparison in enumerate(comparisons, start=1):
    student = next(iter(comparison.runs[0].trials)).network
    name = '-'.join(
      [
        str(number),
        *([comparison.teacher_name] if comparison.teacher_name else []),
        student,
        f'{comparison.card["training"]["recipe"]["total_epochs"]}epochs',
      ]
    )
    names.append(re.sub(r'[^\w.+-]', '.', name))
  return names


def _command(folders, out, baseline, published) -> str:
  words = ['python', 'scripts/report.py', *map(str, folders), '--out', str(out)]
  words += ['--baseline', baseline] if baseline else []
  words += ['--published', str(published)] if published else []
  return shlex.join(words)


def _listed(paths) -> str:
  return ', '.join(f'`{path}`' for path in paths)
