"""What a job would take, as text: parameters, multiply-adds, memory, steps and time.

Nothing is trained and nothing is written. For the time, one step of a typical member is
compiled and timed on arrays of the right shapes. The steps of the others follow from their
multiply-adds, and so do evaluations.
"""

import dataclasses
import math
import pathlib
import statistics
import textwrap
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import screen
from pidkd_jax.core.errors import printable
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.evaluation.cost import Cost, cost, multiply_adds
from pidkd_jax.experiment import assembly, teacher
from pidkd_jax.experiment.assembly import Assembly
from pidkd_jax.experiment.experiment import Experiment, in_precision
from pidkd_jax.models.network import Network
from pidkd_jax.parallel import devices
from pidkd_jax.training import partition, progress
from pidkd_jax.training import step as steps
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.free_memory import MIB
from pidkd_jax.training.recipe import Recipe

# Timed calls of a step: at least so many, until they have taken so long.
_CALLS, _SECONDS = 3, 1.0
# Columns that the name of a fact takes.
_MARGIN = 11
_NOTE = (
  'Time: one step of {timed} was compiled and timed here, and all others count by their '
  'multiply-adds. The estimate is for a machine that is as busy as now, and may be off by a factor '
  'of two. It leaves out reading data, checkpoints and the report. Memory: by shapes '
  '(pidkd_jax/training/memory.py).'
)


@dataclasses.dataclass(frozen=True)
class Part:
  """What one training would take: of the teacher, or of a cohort of students.

  Attributes:
    costs: {label: the cost of what it deploys}.
    members: {label: the number of its trials}.
    step_seconds: {label: the time of one member's step}.
    seconds: {label: the time of all its members' steps and evaluations}.
    shared_seconds: the time in which the teacher observes the batches.
    programs: the number that has to be compiled, without those of evaluations.
    compile_seconds: of the one whose step was timed; little where JAX has kept it.
    timed: label of that one.
    total_steps: of each member.
    memory: bytes of the whole cohort.
    cohorts: the number of parts that train one after the other, or on other devices.
  """

  costs: dict[str, Cost]
  members: dict[str, int]
  step_seconds: dict[str, float]
  seconds: dict[str, float]
  shared_seconds: float
  programs: int
  compile_seconds: float
  timed: str
  total_steps: int
  memory: int
  cohorts: int

  @property
  def total_seconds(self) -> float:
    """All of it but the compilation, on one group of devices."""
    return sum(self.seconds.values()) + self.shared_seconds


def describe(
  students: Experiment,
  taught_by: Bundle | teacher.Training,
  dataset: Dataset,
  start: Bundle | None,
  execution: Execution,
  folder: pathlib.Path,
) -> str:
  """Return what a job would take, for the screen.

  Args:
    students: their experiment.
    taught_by: the teacher, or the training that would make it.
    dataset: to train on.
    start: the student with whose variables the students begin, or None.
    execution: how it would be carried out.
    folder: of the run.
  """
  spec = dataset.spec
  groups = len(execution.groups)
  if isinstance(taught_by, Bundle):
    network, training = taught_by.network, None
    origin = f'{type(network.model).__name__} of {taught_by.folder}; it is not trained'
  else:
    [member] = taught_by.experiment.members
    begin = taught_by.start
    network = teacher.untrained(member.student, spec)
    begun = begin and begin.network
    training = part(taught_by.experiment, dataset.labelled, None, begun, execution)
    weights = f' from the weights of {begin.folder}' if begin else ''
    length = _length(taught_by.experiment.recipe, training)
    origin = f'{member.student}; it is trained first{weights}: {length}'
  taught = part(students, dataset, network, start and start.network, execution)
  names = ', '.join(dict.fromkeys(member.student for member in students.members))
  count = sum(taught.members.values())
  parts = [one for one in (training, taught) if one]
  seconds = sum(one.total_seconds / min(groups, one.cohorts) for one in parts)
  programs = sum(one.programs for one in parts)
  compiling = max(one.compile_seconds for one in parts)
  need = max(one.memory for one in parts)
  memory = f'about {need / MIB:,.0f} MiB, of {execution.memory / MIB:,.0f} MiB that it may take'
  if taught.cohorts > 1:
    memory += f'; the students train in {taught.cohorts} parts'
  facts = {
    'Data': f'{spec.name}, {len(dataset.train):,} training and {len(dataset.test):,} test images '
    f'of {"x".join(map(str, spec.image_shape))}, {spec.num_classes} classes',
    'Teacher': origin,
    'Students': f'{names}; {count} member{"s" if count > 1 else ""}: '
    f'{_length(students.recipe, taught)}',
    'Memory': memory,
    'Time': f'about {duration(seconds)}, and the compilation of at least {programs} programs '
    f'({duration(compiling)} for one of them)',
  }
  first = cost(network, spec.teacher_shape)
  rows = [_row('teacher', first, training, 'teacher')]
  rows += [_row(label, one, taught, label) for label, one in taught.costs.items()]
  headings = ('network', 'parameters', 'multiply-adds', 'members', 'ms/step', 'time')
  return '\n\n'.join(
    [
      screen.paragraph(f'A dry run of {str(folder)!r}: nothing is trained or written.'),
      '\n'.join(_fact(name, text) for name, text in facts.items()),
      screen.Table(headings, rows).render(),
      screen.paragraph(_NOTE.format(timed=' and one of '.join(one.timed for one in parts))),
    ]
  )


def _fact(name: str, text: str) -> str:
  """Return a text behind its name, in lines."""
  start = f'{name}:'.ljust(_MARGIN)
  return textwrap.fill(
    printable(text),
    screen.width(),
    initial_indent=start,
    subsequent_indent=' ' * _MARGIN,
    break_long_words=False,
    break_on_hyphens=False,
  )


def _length(recipe: Recipe, one: Part) -> str:
  epochs = recipe.total_epochs
  return f'{epochs} epochs, {one.total_steps:,} steps of {recipe.batch_size} images'


def _row(name: str, spent: Cost, one: Part | None, label: str) -> tuple[str, ...]:
  size = f'{spent.parameters:,}', f'{spent.multiply_adds:,}'
  if one is None:
    return name, *size, '', '', ''
  step, seconds = one.step_seconds[label], one.seconds[label]
  return name, *size, str(one.members[label]), f'{1e3 * step:.1f}', duration(seconds)


def duration(seconds: float) -> str:
  """Return a time in the unit that suits it.

  Example:
    >>> duration(59.6), duration(600), duration(1e5), duration(1e6)
    ('60 s', '10 min', '28 h', '12 days')
  """
  for unit, length in (('days', 86400), ('h', 3600), ('min', 60)):
    if seconds >= 2 * length:
      return f'{seconds / length:.0f} {unit}'
  return f'{math.ceil(seconds)} s'


@in_precision
def part(
  experiment: Experiment,
  dataset: Dataset,
  teacher: Network | None,
  start: Network | None,
  execution: Execution,
) -> Part:
  """Return what one training would take.

  Args:
    experiment: what would be trained.
    dataset: to train on.
    teacher: arrays, or shapes before it is trained; None if no member needs one.
    start: a student with whose variables the students begin, or None.
    execution: how it would be carried out.
  """
  with progress.working('timing a step'):
    assembled = assembly.assemble(experiment, dataset, teacher, start)
    estimate = assembled.memory(execution)
    cohorts = partition.over_groups(
      experiment.members, estimate, execution.memory, len(execution.groups)
    )
    deployed = assembled.deployed()
    costs = {label: cost(network, dataset.spec.image_shape) for label, network in deployed.items()}
    counts = _step_multiply_adds(assembled)
    # Of two the costlier one.
    typical = sorted(counts, key=lambda name: counts[name])[len(counts) // 2]
    observing, compiling, stepping = _timed(
      assembled.cohort, assembled.shapes, typical, assembled.division(execution).look_ahead
    )
  rate = counts[typical] / stepping
  label_of = {member.name: member.label for member in experiment.members}
  by_label = {label_of[name]: count / rate for name, count in counts.items()}
  total_steps = experiment.recipe.total_epochs * experiment.recipe.steps_per_epoch(
    len(assembled.dataset.train)
  )
  judged = len(assembled.held_out or dataset.test)
  evaluations = math.ceil(experiment.recipe.total_epochs / experiment.eval_every) * judged
  members = {label: list(label_of.values()).count(label) for label in by_label}
  return Part(
    costs=costs,
    members=members,
    step_seconds=by_label,
    seconds={
      label: members[label]
      * (total_steps * seconds + evaluations * costs[label].multiply_adds / rate)
      for label, seconds in by_label.items()
    },
    shared_seconds=total_steps * observing * len(cohorts),
    programs=len(assembled.cohort.programs(assembled.cohort.init, assembled.shapes))
    + len(assembled.cohort.initial_programs(assembled.shapes)),
    compile_seconds=compiling,
    timed=label_of[typical],
    total_steps=total_steps,
    memory=max(estimate.subset([member.name for member in one]).total for one in cohorts),
    cohorts=len(cohorts),
  )


def _step_multiply_adds(assembled: Assembly) -> dict[str, int]:
  """Return {member: the multiply-adds of its step}; trials share their program."""
  cohort, batch = assembled.cohort, assembled.shapes
  view = jax.eval_shape(Cohort.observe, cohort, batch)
  states = jax.eval_shape(Cohort.init, cohort, batch)
  found: dict[Any, int] = {}
  for name, learner in cohort.by_name.items():
    if learner.method not in found:
      arguments = (learner, states[name], batch, view, jnp.int32(0))
      found[learner.method] = multiply_adds(steps.update, *arguments)
  return {name: found[learner.method] for name, learner in cohort.by_name.items()}


def _timed(cohort: Cohort, shapes: Any, name: str, look_ahead: int) -> tuple[float, float, float]:
  """Return the seconds of the teacher's look at a batch, of a compilation, and of a step.

  The teacher's look is its share of a pass over `look_ahead` batches.
  """
  shapes_of_state = jax.eval_shape(Cohort.init, cohort, shapes)[name]
  teacher, observer = devices.put_replicated(_filled((cohort.teacher, cohort.observer)))
  cohort = cohort.replace(teacher=teacher, observer=observer)
  batch = jax.tree.map(_shared, _filled(shapes))
  observing, view = 0.0, None
  if cohort.teacher is not None:
    view, _, observing = _repeated(lambda _: cohort.observe(batch), None)
    if look_ahead > 1:
      ahead = jax.tree.map(lambda x: jnp.concatenate([x] * look_ahead), batch)
      observing = _repeated(lambda _: cohort.observe(ahead), None)[2] / look_ahead
  state = devices.put_replicated(_filled(shapes_of_state))
  # The step donates the state.
  step = jnp.int32(0)
  _, first, stepping = _repeated(lambda state: cohort.update(name, state, batch, view, step), state)
  return observing, max(0.0, first - stepping), stepping


def _repeated(function: Callable[[Any], Any], value: Any) -> tuple[Any, float, float]:
  """Call a function on its own result; return the last one, the first time and the usual one."""
  times: list[float] = []
  while len(times) <= _CALLS or (sum(times[1:]) < _SECONDS and len(times) < 50):
    began = time.perf_counter()
    value = jax.block_until_ready(function(value))
    times.append(time.perf_counter() - began)
  return value, times[0], statistics.median(times[1:])


def _filled(tree: Any) -> Any:
  """Return arrays in the place of shapes: small positive numbers, and zeros for integers."""
  numbers = np.random.default_rng(0)

  def fill(leaf: Any) -> Any:
    if not isinstance(leaf, jax.ShapeDtypeStruct):
      return leaf
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
      return np.zeros(leaf.shape, leaf.dtype)
    return (0.1 * numbers.random(leaf.shape, np.float32)).astype(leaf.dtype)

  return jax.tree.map(fill, tree)


def _shared(array: np.ndarray) -> jax.Array:
  """Put an array [B, ...] onto the devices, one shard on each."""
  indices = devices.local_indices(len(array))
  return devices.put_sharded(array[indices], indices, len(array))
