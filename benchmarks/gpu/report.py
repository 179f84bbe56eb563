"""The report of all parts: Markdown to read, JSON to compute with."""

import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.gpu.part import FAILED, Part, Record, Row


def write(folder: pathlib.Path, parts: Sequence[Part], environment: Mapping[str, Any]) -> None:
  """Write report.md and report.json from the parts' files in a folder."""
  records = {part.name: Record.read(folder / f'{part.name}.json') for part in parts}
  (folder / 'report.md').write_text(text(parts, records, environment))
  content = {
    'environment': dict(environment),
    'parts': {
      part.name: {'title': part.title, 'rows': records[part.name].rows, 'missing': missing}
      for part in parts
      for missing in [_missing(records[part.name])]
    },
  }
  (folder / 'report.json').write_text(json.dumps(content, indent=2) + '\n')


def text(
  parts: Sequence[Part], records: Mapping[str, Record], environment: Mapping[str, Any]
) -> str:
  """Return the report as Markdown."""
  blocks = ['# Measured by `python -m benchmarks.gpu`']
  blocks.append(', '.join(f'{name} {value}' for name, value in environment.items()))
  for part in parts:
    record = records[part.name]
    if not record.rows:
      continue
    blocks.append(f'## {part.title}')
    # Rows of equal columns make a table.
    for _, group in itertools.groupby(record.good.items(), lambda item: tuple(item[1])):
      blocks.append(table(dict(group)))
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
