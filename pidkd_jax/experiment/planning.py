"""From a configuration to the experiments of its teacher and its students."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.experiment import assembly, fields, widening
from pidkd_jax.experiment.crops import Crops
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.models.network import Network
from pidkd_jax.training import free_memory
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe


def students_experiment(
  config: ConfigDict,
  rows: Mapping[str, Mapping[str, Any]],
  dataset: Dataset,
  teacher: Network,
  start: Bundle | None,
) -> Experiment:
  """Return the students' experiment after a dry run of it.

  Args:
    config: of the job.
    rows: {label: its fields}, as `config.rows` gives them.
    dataset: to train on.
    teacher: arrays, or shapes before it is trained.
    start: with whose variables the students begin, or None.

  Raises:
    UserError: something in the experiment cannot be trained.
  """
  experiment = _experiment(
    config, members(config, rows), _recipe(config), config.seed, dataset.spec
  )
  rest = config.data.unlabelled == 'rest'
  experiment = dataclasses.replace(experiment, shots=config.data.shots, rest=rest)
  experiment = _widened(experiment, rows, dataset, teacher)
  assembly.dry_run(experiment, dataset, teacher, start and start.network)
  if config.memory_gib:
    budget = free_memory.per_group(int(config.memory_gib * 2**30), config.device_groups)
    assembly.check_memory(experiment, dataset, teacher, budget)
  return experiment


def _widened(
  experiment: Experiment,
  rows: Mapping[str, Mapping[str, Any]],
  dataset: Dataset,
  teacher: Network,
) -> Experiment:
  """Return the experiment with the students that are to be as large as another row's widened."""
  if not any(row['widen'] for row in rows.values()):
    return experiment
  costs = assembly.costs(experiment, dataset, teacher)
  for label, row in rows.items():
    if not row['widen']:
      continue
    if row['widen'] not in costs:
      raise unknown_name(f'row for {label} to be as large as', row['widen'], costs)
    wanted = costs[row['widen']].parameters
    student = widening.widened(experiment, dataset, teacher, label, wanted)
    widened = tuple(
      dataclasses.replace(member, student=student) if member.label == label else member
      for member in experiment.members
    )
    experiment = dataclasses.replace(experiment, members=widened)
  return experiment


def teacher_experiment(config: ConfigDict, dataset: Dataset, start: Bundle | None) -> Experiment:
  """Return the experiment that trains the teacher.

  Args:
    config: of the job.
    dataset: to train on.
    start: with whose variables the teacher begins, or None.

  Raises:
    UserError: its batches do not fit the data, or it is another network than its start.
  """
  fields = config.teacher
  optimizer = OptimizerHparams(fields.learning_rate, fields.weight_decay)
  member = Member('teacher', fields.model, 'scratch', {}, optimizer, trial=-1)
  recipe = dataclasses.replace(
    _recipe(config),
    # It shares what has no field of its own: momentum and drops.
    **{one.name: fields[one.name] for one in dataclasses.fields(Recipe) if one.name in fields},
  )
  experiment = _experiment(config, (member,), recipe, fields.seed, dataset.spec)
  experiment = dataclasses.replace(experiment, shots=fields.shots)
  try:
    assembly.check(experiment, dataset)
  except UserError as error:
    raise UserError(f"the teacher's {error}") from error
  if start:
    assembly.assemble(experiment, dataset, None, start.network)
  return experiment


def members(config: ConfigDict, rows: Mapping[str, Mapping[str, Any]]) -> tuple[Member, ...]:
  """Return the members of all rows and trials, none of them widened."""
  row_fields = {field.name for field in fields.ROW}
  first = config.first_trial
  found = []
  for label, row in rows.items():
    hyperparameters = {key: value for key, value in row.items() if key not in row_fields}
    optimizer = OptimizerHparams(row['learning_rate'] or config.learning_rate, config.weight_decay)
    student = row['student'] or config.student
    found += [
      Member(label, student, row['method'], hyperparameters, optimizer, trial)
      for trial in range(first, first + (row['trials'] or config.trials))
    ]
  return tuple(found)


def _recipe(config: ConfigDict) -> Recipe:
  return Recipe(**{field.name: config[field.name] for field in dataclasses.fields(Recipe)})


def _experiment(
  config: ConfigDict, members: tuple[Member, ...], recipe: Recipe, seed: int, spec: DatasetSpec
) -> Experiment:
  data = config.data
  crops = Crops(
    data.crop,
    data.crop_scale,
    data.crop_aspect,
    None if data.padding < 0 else data.padding,
    None if data.flip < 0 else bool(data.flip),
  )
  return Experiment(
    members=members,
    recipe=recipe,
    seed=seed,
    holdout=data.holdout,
    eval_every=config.eval_every,
    **crops.fields(spec, 'data.'),
  )
