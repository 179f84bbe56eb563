"""The fields of a configuration as text: their meanings, or where their values come from."""

import collections
import dataclasses
import re
import textwrap
from collections.abc import Collection, Iterator
from typing import Any

from flax import traverse_util
from ml_collections import ConfigDict

from pidkd_jax import methods
from pidkd_jax.cli import listing
from pidkd_jax.core.errors import listed
from pidkd_jax.experiment import fields

_FIELDS = {field.name: field for field in fields.FIELDS}
_SECTIONS = {field.name: title for title, own in fields.SECTIONS.items() for field in own}
_ROW = {field.name: field for field in fields.ROW}
# Labels of rows in a title.
_LABELS = 8
# Columns of 'name = value' beside which the sources are aligned.
_MOST = 60
# Characters of a number that is shown whole.
_DIGITS = 10
# In place of a value: a method without hyper-parameters.
_EMPTY = '(no fields)'
_END = """`pidkd networks` lists the networks, and `pidkd methods` the methods. --show
prints where each value comes from, and --dry_run what a training would take."""


@dataclasses.dataclass(frozen=True)
class _Entry:
  """A field of a configuration.

  Attributes:
    group: (title, its place on the command line), which it shares with similar fields.
    name: as it stands in its group.
    path: its dotted name.
    value: of the configuration; None for a method without fields.
    default: the value that it has if no config and no argument says another.
    meaning: Markdown, or ''.
    label: of its row, or ''.
  """

  group: tuple[str, str]
  name: str
  path: str
  value: Any
  default: Any
  meaning: str
  label: str = ''


def meanings(config: ConfigDict) -> str:
  """Return all fields with type, value and meaning, in groups.

  Rows with one method stand together, as their fields mean the same.

  Raises:
    UserError: as `fields.require`.
  """
  fields.require(config)
  groups = collections.defaultdict(lambda: collections.defaultdict(list))
  labels = collections.defaultdict(dict)
  for entry in _entries(config):
    groups[entry.group][entry.name].append(entry)
    labels[entry.group][entry.label] = None
  parts = []
  for (title, place), by_name in groups.items():
    rows = listed([label for label in labels[title, place] if label], _LABELS)
    lines = [_line(name, entries) for name, entries in by_name.items()]
    head = [title, f'--config.{place}=VALUE', *([f'LABEL: {rows}'] if rows else [])]
    filled = (textwrap.fill(line, listing.WIDTH, break_long_words=False) for line in head)
    parts.append('\n'.join([*filled, '', listing.of(lines)]))
  return '\n\n'.join([*parts, _END])


def _line(name: str, entries: list[_Entry]) -> tuple[str, str, str, str]:
  first = entries[0]
  if first.value is None:
    return _EMPTY, '', '', ''
  values = {_short(entry.value) for entry in entries}
  value = values.pop() if len(values) == 1 else 'by row'
  return name, type(first.value).__name__, value, _plain(first.meaning)


def _short(value: Any) -> str:
  """Return a value as text, a long fraction rounded."""
  text = repr(value)
  return f'{value:.4g}' if isinstance(value, float) and len(text) > _DIGITS else text


def _plain(text: str) -> str:
  """Return Markdown as plain text, without links in brackets."""
  return re.sub(r' \(\[[^]]*\]\([^)]*\)\)', '', text).replace('`', '')


def sources(
  config: ConfigDict, unargued: ConfigDict | None, given: Collection[str], file: str
) -> str:
  """Return 'name = value' of all fields, each with where its value comes from.

  Args:
    config: as it will run.
    unargued: what the config's file gives without its argument; None where it has none.
    given: dotted names of the fields that the command line sets.
    file: what to call the config's file.

  Raises:
    UserError: as `fields.require`.
  """
  fields.require(config)
  before = {entry.path: entry.value for entry in _entries(unargued)} if unargued else {}
  lines = []
  for entry in _entries(config):
    differs = unargued is not None and before.get(entry.path, ...) != entry.value
    if entry.path in given:
      source = 'command line'
    # An argument that names another method leaves that method's defaults.
    elif _is_default(entry) and not (differs and entry.path in _FIELDS):
      source = 'default'
    else:
      source = 'argument' if differs else file
    value = _EMPTY if entry.value is None else repr(entry.value)
    lines.append((f'{entry.path} = {value}', source))
  width = max(len(left) for left, _ in lines if len(left) <= _MOST)
  return '\n'.join(f'{left:<{width}}  {source}' for left, source in lines)


def _is_default(entry: _Entry) -> bool:
  return entry.default is not None and entry.value == entry.default


def _entries(config: ConfigDict) -> Iterator[_Entry]:
  """Yield every field: those of `fields.SECTIONS`, then of the method, then the others."""
  flat = traverse_util.flatten_dict(config.to_dict(), keep_empty_nodes=True)
  order = {name: number for number, name in enumerate(_FIELDS)}
  last = len(order)
  for key in sorted(flat, key=lambda key: (order.get('.'.join(key), last), key[0] != 'method')):
    value = None if flat[key] is traverse_util.empty_node else flat[key]
    yield _entry(config, key, value)


def _entry(config: ConfigDict, key: tuple[str, ...], value: Any) -> _Entry:
  path = '.'.join(key)
  if field := _FIELDS.get(path):
    group = (_SECTIONS[path], 'FIELD')
    return _Entry(group, path, path, value, field.default, field.doc)
  match key:
    case ('method', name):
      group = (_title(config.method.name), 'method.FIELD')
      if name == 'name':
        return _Entry(group, name, path, value, None, 'what comes first behind the config')
      return _hyperparameter(group, config.method.name, name, path, value)
    case ('compare', label, *rest):
      name = config.compare[label].get('method', label)
      group = (_title(name), f'compare.{label}.FIELD')
      return _of_row(group, name, label, ''.join(rest), path, value, '')
    case ('rows', label, name):
      return _of_rows(config.rows, 'rows', label, name, path, value)
    case ('cohorts', cohort, 'rows', label, name):
      place = f'cohorts.{cohort}.rows'
      return _of_rows(config.cohorts[cohort].rows, place, label, name, path, value)
    case ('cohorts', cohort, *rest) if rest:
      name = '.'.join(rest)
      field = _FIELDS.get(name) or _FIELDS.get(f'data.{rest[-1]}')
      group = (f'Fields of the cohort {cohort}', f'cohorts.{cohort}.FIELD')
      return _Entry(group, name, path, value, None, field.doc if field else '')
    case _:
      return _Entry(('Other fields', 'FIELD'), path, path, value, None, '')


def _title(method: str) -> str:
  return f'{method}: {methods.summary(method)}'.removesuffix('.')


def _of_rows(rows: ConfigDict, place: str, label: str, field: str, path: str, value: Any) -> _Entry:
  """Return the entry of a field of a row, beside the other rows of its method."""
  method = rows[label].get('method', label)
  general = field in _ROW
  title = 'Every row' if general else _title(method)
  return _of_row((title, f'{place}.LABEL.FIELD'), method, label, field, path, value, label)


def _of_row(
  group: tuple[str, str], method: str, label: str, field: str, path: str, value: Any, shown: str
) -> _Entry:
  if field in _ROW:
    default, doc = _ROW[field].default, _ROW[field].doc
    return _Entry(group, field, path, value, default, doc, shown)
  return _hyperparameter(group, method, field or label, path, value, shown)


def _hyperparameter(
  group: tuple[str, str], method: str, name: str, path: str, value: Any, label: str = ''
) -> _Entry:
  default = methods.defaults(method).get(name)
  meaning = methods.meanings(method).get(name, '')
  return _Entry(group, name, path, value, default, meaning, label)
