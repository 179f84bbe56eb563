"""The report of all parts: Markdown to read, JSON to compute with."""

import itertools
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.gpu.part import FAILED, Part, Record, Row


def write(folder: pathlib.Path, parts: Sequence[Part]) -> None:
  """Write report.md and report.json from the parts' files in a folder."""
  records = {part.name: Record.read(folder / f'{part.name}.json') for part in parts}
  (folder / 'report.md').write_text(text(parts, records), encoding='utf-8')
  environments = _environments(records.values())
  content = {
    'environments': environments,
    'parts': {
      part.name: {
        'title': part.title,
        'rows': record.rows,
        'environment': {name: environments.index(record.environment(name)) for name in record.rows},
        'missing': _missing(record),
      }
      for part in parts
      for record in [records[part.name]]
    },
  }
  (folder / 'report.json').write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def text(parts: Sequence[Part], records: Mapping[str, Record]) -> str:
  """Return the report as Markdown."""
  environments = _environments(records[part.name] for part in parts)
  blocks = ['# Measured by `python -m benchmarks.gpu`', *_heading(environments)]
  for part in parts:
    record = records[part.name]
    if not record.rows:
      continue
    blocks.append(f'## {part.title}')
    # Rows of equal columns make a table.
    for _, group in itertools.groupby(record.good.items(), lambda item: tuple(item[1])):
      blocks.append(table(dict(group)))
    if len(environments) > 1:
      blocks.append(_origins(record, environments))
    blocks += part.summary(record.good)
    blocks += [
      f'**{name}** failed: {row[FAILED]}' for name, row in record.rows.items() if FAILED in row
    ]
  unreached = [
    f'- {part.title}: {missing}'
    for part in parts
    if (missing := ', '.join(_missing(records[part.name])))
  ]
  blocks.append('## Not reached')
  blocks.append('\n'.join(unreached) or 'Nothing: every measurement was taken.')
  return '\n\n'.join(blocks) + '\n'


def _environments(records: Iterable[Record]) -> list[Row]:
  """Return the environments of all rows, each once, in the order of the rows."""
  found: list[Row] = []
  for record in records:
    for name in record.rows:
      if record.environment(name) not in found:
        found.append(record.environment(name))
  return found


def _heading(environments: Sequence[Row]) -> list[str]:
  """Name the first environment, and how each other one differs from it."""
  if len(environments) < 2:
    return [_listed(environment) for environment in environments]
  first, *others = environments
  lines = [f'1. {_listed(first)}']
  for number, other in enumerate(others, 2):
    names = [name for name in {**first, **other} if first.get(name) != other.get(name)]
    lines.append(f'{number}. {_listed({name: other.get(name, "unknown") for name in names})}')
  return [
    '**The rows come from several environments. Compare only rows of one.** Of each but the first '
    'the list has only the differences.',
    '\n'.join(lines),
  ]


def _listed(environment: Row) -> str:
  return ', '.join(f'{name} {value}' for name, value in environment.items()) or 'unknown'


def _origins(record: Record, environments: Sequence[Row]) -> str:
  """Say in which environment each row of a part was taken."""
  names: dict[int, list[str]] = {}
  for name in record.rows:
    names.setdefault(environments.index(record.environment(name)), []).append(name)
  if len(names) == 1:
    return f'Environment {next(iter(names)) + 1}.'
  return ' '.join(f'Environment {i + 1}: {"; ".join(rows)}.' for i, rows in sorted(names.items()))


def table(rows: Mapping[str, Row]) -> str:
  """Return rows as a Markdown table of equal columns.

  Example:
    >>> print(table({'a': {'ms': 1.23456, 'equal': True}, 'b': {'ms': 20, 'equal': False}}))
    | | ms | equal |
    |--|--|--|
    | a | 1.235 | yes |
    | b | 20 | no |
  """
  columns = list(next(iter(rows.values())))
  lines = [f'| | {" | ".join(columns)} |', '|--' * (len(columns) + 1) + '|']
  for name, row in rows.items():
    lines.append(f'| {" | ".join((name, *map(_cell, row.values())))} |')
  return '\n'.join(lines)


def _cell(value: Any) -> str:
  if isinstance(value, bool):
    return 'yes' if value else 'no'
  return f'{value:.4g}' if isinstance(value, float) else str(value).replace('|', '\\|')


def _missing(record: Record) -> list[str]:
  if not record.planned:
    return ['all of it']
  reason = f' ({record.note})' if record.note else ''
  return [f'{name}{reason}' for name in record.missing]
