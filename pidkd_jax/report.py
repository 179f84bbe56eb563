"""Tables and curves of runs, from what lies in their folders."""

import dataclasses
import math
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Card = Mapping[str, Any]
Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Column:
  """A column of the table: its heading, where a card has the value, its scale and digits."""

  heading: str
  path: tuple[str, ...]
  scale: float = 1.0
  digits: int = 2


_COLUMNS = (
  Column('parameters (M)', ('cost', 'parameters'), 1e-6, 3),
  Column('multiply-adds (M)', ('cost', 'multiply_adds'), 1e-6, 1),
  Column('top-1 (%)', ('results', 'top1'), 100),
  Column('top-5 (%)', ('results', 'top5'), 100),
  Column('agreement (%)', ('results', 'agreement'), 100),
  Column('cross-entropy', ('results', 'cross_entropy'), 1, 4),
  Column('ECE (%)', ('results', 'calibration_error'), 100),
  Column('alignment error', ('results', 'alignment_error'), 1, 4),
  Column('own updates (s)', ('training', 'seconds'), 1, 0),
  Column('best on test (optimistic, %)', ('results', 'best_on_test', 'top1'), 100),
)


def report(cards: Sequence[tuple[str, Card]]) -> str:
  """The table with what must be known to read it, Markdown.

  Args:
    cards: as `table`; the last one says data, recipe, versions and hardware for all.
  """
  card = cards[-1][1]
  dataset, training, environment = card['dataset'], card['training'], card['environment']
  recipe = training['recipe']
  lines = [
    f'Data: {dataset["name"]} ({dataset["source"]}); the results are on its test images.',
    f'Students: {recipe["total_epochs"]} epochs, batch {recipe["batch_size"]}, seed '
    f'{training["seed"]}, momentum {recipe["momentum"]}, learning rate times '
    f'{recipe["drop_factor"]} after {list(recipe["drops"])} of them, crop padding '
    f'{training["padding"]}, flips {training["flip"]}.',
    f'Selection: {training["selection"]}'
    + (f' ({training["holdout"]} of the training images)' if training['holdout'] else '')
    + '; epoch '
    + ', '.join(sorted({str(card['training']['epoch']) for _, card in cards[1:]}))
    + '.',
    f'Teacher: {(training["teacher"] or {}).get("folder", "none")}.',
    *_settings(cards),
    _time(training),
    'Made with ' + ', '.join(f'{name} {value}' for name, value in environment.items()) + '.',
  ]
  return table(cards) + '\n\n' + '\n'.join(f'- {line}' for line in lines) + '\n'


def _settings(cards: Sequence[tuple[str, Card]]) -> list[str]:
  """A line a label with its epochs, learning rate, weight decay and hyper-parameters."""
  found = {}
  for label, card in cards:
    member = card.get('training', {}).get('member')
    if member is None:  # A teacher from elsewhere.
      continue
    settings = member['numbers'] | member['hyperparameters']
    values = ', '.join(f'{name} {value}' for name, value in settings.items())
    epochs = card['training']['recipe']['total_epochs']
    found[label] = f'{label}: {epochs} epochs, {values}.'
  return list(found.values())


def _time(training: Mapping[str, Any]) -> str:
  text = (
    f'a cohort of {training["members"]} trained in {training["wall_seconds"]:.0f} s, '
    'compilation included'
  )
  if 'seconds' in training:
    text += (
      "; each member's own updates are estimated from a sample of steps; the teacher's "
      f'forward passes, once for all of them, took {training["teacher_seconds"]:.0f} s'
    )
  return f'Time: {text}.'


def table(cards: Sequence[tuple[str, Card]]) -> str:
  """A Markdown table, one row a label; several cards of one label are trials.

  Args:
    cards: (label, card) in the order of the rows. Of trials the mean and the sample standard
      deviation are given; a column that no card fills is left out.
  """
  labels = list(dict.fromkeys(label for label, _ in cards))
  columns = [c for c in _COLUMNS if any(_value(card, c) is not None for _, card in cards)]
  rows = [['', *(column.heading for column in columns)]]
  for label in labels:
    own = [card for name, card in cards if name == label]
    name = label if len(own) == 1 else f'{label} ({len(own)} trials)'
    rows.append([name, *(_cell(own, column) for column in columns)])
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  rows.insert(1, ['-' * width for width in widths])
  return '\n'.join(
    '| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + ' |'
    for row in rows
  )


def _value(card: Card, column: Column) -> float | None:
  value = card
  for key in column.path:
    value = value.get(key) if value is not None else None
  return value


def _cell(cards: Sequence[Card], column: Column) -> str:
  values = [_value(card, column) for card in cards]
  values = [value * column.scale for value in values if value is not None]
  if not values:
    return ''
  cell = f'{statistics.mean(values):.{column.digits}f}'
  # What is the same in every trial, such as the parameters, has no spread to speak of.
  if len(values) > 1 and not math.isclose(min(values), max(values)):
    cell += f' ± {statistics.stdev(values):.{column.digits}f}'
  return cell


def curves(
  rows: Sequence[Row], labels: Mapping[str, str], measure: str, title: str, path: pathlib.Path
) -> None:
  """Draws accuracy and training loss by epoch as a PNG: a line a label, trials as its band.

  Args:
    rows: of metrics.jsonl.
    labels: {member: label}.
    measure: the row's entry for accuracy, e.g. 'test_top1'.
    title: of the figure.
    path: of the PNG.
  """
  figure = Figure(figsize=(10, 4), layout='constrained')
  figure.suptitle(title)
  panels = (
    (measure, 100, f'{measure.replace("_", " ").replace("top1", "top-1")} (%)', 'linear'),
    ('train_loss', 1, "training loss (each method's own)", 'log'),
  )
  for axes, (key, scale, name, kind) in zip(figure.subplots(1, 2), panels, strict=True):
    for label in dict.fromkeys(labels.values()):
      by_epoch = {}
      for row in rows:
        if labels.get(row['member']) == label and key in row:
          by_epoch.setdefault(row['epoch'], []).append(scale * row[key])
      epochs = sorted(by_epoch)
      (line,) = axes.plot(epochs, [statistics.mean(by_epoch[e]) for e in epochs], label=label)
      axes.fill_between(
        epochs,
        [min(by_epoch[e]) for e in epochs],
        [max(by_epoch[e]) for e in epochs],
        color=line.get_color(),
        alpha=0.2,
      )
    axes.set(xlabel='epoch', ylabel=name, yscale=kind)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
  figure.savefig(path, dpi=120)
