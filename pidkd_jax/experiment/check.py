"""The checks of a configuration that need no data."""

import math
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from pidkd_jax import models
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.core.value import plain
from pidkd_jax.experiment import fields
from pidkd_jax.experiment.config import rows
from pidkd_jax.experiment.fields import Field
from pidkd_jax.training import writers

# Bytes; the names of folders have at most 255, and numbers follow the label.
_LONGEST_LABEL = 200
# What reports call the teachers in their tables.
_ROWS_OF_REPORTS = ('teacher', 'bundle', 'first teacher')


def check(config: ConfigDict) -> None:
  """Check the configuration of a job: names, and numbers against their bounds.

  Raises:
    UserError: with the field's name and the bound, or with the nearest name.
  """
  fields.require(config)
  if 'cohorts' in config:
    raise UserError('the config has cohorts, so it is a study: run it with `pidkd study`')
  if 'rows' not in config and not ('method' in config and 'compare' in config):
    raise UserError(
      'the config has neither rows nor method and compare; make it as configs/digits.py does'
    )
  for name, value in _floats(config):
    if not math.isfinite(value):
      raise UserError(f'{name} is {value}; a finite number is needed')
  for field in fields.FIELDS:
    check_value(field, field.name, fields.get(config, field.name))
  models.create(config.student, num_classes=1)
  if not config.teacher.bundle:
    models.create(config.teacher.model, num_classes=1)
  elif config.teacher.start:
    raise UserError(
      f'teacher.start is {config.teacher.start!r}, and teacher.bundle names a teacher that is not '
      'trained; leave out either'
    )
  if config.data.teacher_size and not config.teacher.bundle:
    raise UserError(
      f'data.teacher_size is {config.data.teacher_size}, and no bundle holds the teacher; train'
      ' it at that size by itself, and name it with --config.teacher.bundle'
    )
  if config.data.unlabelled == 'rest' and not config.data.shots:
    raise UserError(
      "data.unlabelled is 'rest', and data.shots is 0, so all images have labels; set data.shots, "
      'or name a folder (./rest, if that is its name)'
    )
  writers.check(config.writers)
  if 'probe' in config:
    _check_probe(config.probe)
  every = rows(config)
  for label, row in every.items():
    check_label(label)
    if every.get(row['widen'], {}).get('widen'):
      raise UserError(
        f'{label} is to be as large as {row["widen"]}, which is widened itself; name another row'
      )
    if config.start and row['widen']:
      raise UserError(
        f'{label} is to be widened, and the bundle that start names has one width; leave out either'
      )
    for field in fields.ROW:
      check_value(field, f'{field.name} of {label}', row[field.name])


def _check_probe(probe: ConfigDict) -> None:
  lacking = [name for name in ('name', 'archive', 'verify', 'image_size') if name not in probe]
  if lacking:
    raise UserError(
      f'the probe has no {", ".join(lacking)}; give it name, archive, verify and image_size'
    )


def check_label(label: Any) -> None:
  """Raise UserError where a label cannot name a row and the folders of its members."""
  if not isinstance(label, str):
    raise UserError(f'the label {label!r} is no text; give one')
  folder = label and '/' not in label and not label.startswith('.') and label.isprintable()
  if not folder or len(label.encode()) > _LONGEST_LABEL:
    raise UserError(f'the label {label[:80]!r} cannot be a folder; give another')
  if label in _ROWS_OF_REPORTS:
    raise UserError(f'the label {label!r} is what reports call the teacher; give another')


def check_value(field: Field, name: str, value: Any) -> Any:
  """Return a value in the type of a field's default; arrays of one number become numbers.

  Raises:
    UserError: the field cannot have this value; `name` is its subject.
  """
  needed = ''
  if field.requirement and isinstance(field.default, tuple):
    needed = field.requirement.text
  value = plain(field.default, name, value, needed)
  if field.choices and value not in field.choices:
    raise unknown_name(name, value, field.choices)
  requirement = field.requirement
  if requirement and not requirement.holds(value):
    raise UserError(f'{name} is {value}; {requirement.text}')
  if field.least is not None:
    allowed = value > field.least if field.exclusive else value >= field.least
    if not allowed:
      bound = f'{"greater than" if field.exclusive else "at least"} {field.least}'
      raise UserError(f'{name} is {value}; it must be {bound}')
  return value


def _floats(config: ConfigDict, prefix: str = '') -> Iterator[tuple[str, float]]:
  """Yield (dotted name, value) of every float in a configuration."""
  for name, value in config.items():
    if isinstance(value, ConfigDict):
      yield from _floats(value, f'{prefix}{name}.')
    elif isinstance(value, float):
      yield prefix + name, value
