"""How much memory the training of a cohort takes, told by shapes alone, and its split by that.

A cohort holds at once

    shared      the training images, or what is read ahead of them where they are streamed, one
                batch, the teacher and what it sees of a batch
    state       of every member: parameters, momentum, BatchNorm's statistics, memory banks, and
                once more the variables of the best epoch where a hold-out picks it; on CPU twice,
                as a checkpoint that is being written holds a copy in the same memory
    activation  of one member, the largest: the members' steps run one after another

A member's activation is estimated as what its backward pass keeps of the forward pass (the
residuals of `jax.vjp`), a gradient for every parameter, and for the largest max-pooling the
coordinates (one int32 for each axis) of each value of its input, which XLA writes out. Fusion
keeps less of this and transposition adds to it: over 19 pairs, methods and batch sizes on CPU with
jax 0.10.2, the estimate was 0.96 to 1.42 times what XLA set aside for the step (`memory_analysis`,
temporary), 1.20 in the middle; for three projectors under resnet32x4 it was 480 and 392 MiB, and
the process that trained them grew by 670 MiB where the estimate is 640 in all. Not counted are
compilation, the program itself and the images that are evaluated: for these, and for the error, a
part of the free memory is left alone (`SHARE`).
"""

import dataclasses
import functools
import itertools
import math
import os
import pathlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
from jax.extend import core

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Batch, TeacherOutputs
from pidkd_jax.parallel import devices, processes
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.learner import State
from pidkd_jax.training.member import Member
from pidkd_jax.training.step import loss, observe

MIB = 2**20

# Of what a training may take: the images of both splits, uint8. On CPU the training split lies in
# memory twice, as it was read and as JAX has it, and the rest is for the training itself.
IMAGE_SHARE = 0.25

# Of the free memory: the rest is for what an estimate leaves out and for its error.
SHARE = 0.8


@dataclasses.dataclass(frozen=True)
class MemberMemory:
  """What a member adds, in bytes: `state` always, `activation` during its own step."""

  state: int
  activation: int


@dataclasses.dataclass(frozen=True)
class MemoryEstimate:
  """What a cohort takes, in bytes.

  Attributes:
    shared: by all members.
    needs: {member: Need}.
  """

  shared: int
  needs: Mapping[str, MemberMemory]

  @property
  def total(self) -> int:
    return _total(self.shared, self.needs.values())


def _total(shared: int, needs: Collection[MemberMemory]) -> int:
  return shared + sum(need.state for need in needs) + max(need.activation for need in needs)


def estimate(
  cohort: Cohort, batch: Batch, *, images: int = 0, selects: bool = False
) -> MemoryEstimate:
  """What the training of a cohort takes; nothing is compiled and no data are needed.

  Args:
    cohort: its teacher may be arrays or shapes.
    batch: a training batch, as arrays or shapes.
    images: bytes of training images that are held (`Split.held_bytes`).
    selects: whether a hold-out picks each member's epoch.
  """
  teacher = jax.eval_shape(observe, cohort.teacher, batch)
  states = jax.eval_shape(Cohort.init, cohort, batch)
  # Trials share their program.
  activations = {
    learner.method: activation_bytes(cohort, name, states[name], batch, teacher)
    for name, learner in cohort.learners.items()
  }
  # Of CPU devices all memory is one, in which a checkpoint that is being written has a copy too; of
  # others it is that of one device that counts, with its part of a batch.
  whole, copies, part = devices.count(), devices.count() + 1, 1
  if jax.default_backend() != 'cpu':
    whole, copies, part = 1, 1, devices.count()
  return MemoryEstimate(
    shared=whole * images + _bytes((batch, teacher)) // part,
    needs={
      name: MemberMemory(
        copies * state_bytes(states[name], selects=selects), activations[learner.method] // part
      )
      for name, learner in cohort.learners.items()
    },
  )


def state_bytes(state: State, *, selects: bool = False) -> int:
  """Of a member's state as arrays or shapes; `selects`: with the variables of its best epoch."""
  return _bytes(state) + selects * _bytes(state.variables)


def activation_bytes(
  cohort: Cohort, name: str, state: State, batch: Batch, teacher: TeacherOutputs | None
) -> int:
  """What a member's step takes beside its state, estimated from arrays or shapes."""

  def forward(params, cohort, collections, batch, teacher):
    def of(params):
      return loss(cohort.learners[name], params, collections, batch, teacher, jnp.int32(0))

    _, backward, _ = jax.vjp(of, params, has_aux=True)
    return jax.tree.leaves(backward)

  program = jax.make_jaxpr(forward)(state.params, cohort, state.collections, batch, teacher).jaxpr
  given = {*program.invars, *program.constvars}
  kept = {
    variable
    for variable in program.outvars
    if not isinstance(variable, core.Literal) and variable not in given
  }
  pooled = [
    equation.invars[0].aval
    for equation in _equations(program)
    if equation.primitive.name == 'reduce_window_max'
  ]
  return (
    sum(_size(variable.aval) for variable in kept)
    + _bytes(state.params)
    + max((4 * array.ndim * math.prod(array.shape) for array in pooled), default=0)
  )


def _equations(program) -> Iterator:
  for equation in program.eqns:
    yield equation
    for inner in core.jaxprs_in_params(equation.params):
      yield from _equations(inner)


def _bytes(tree) -> int:
  return sum(map(_size, jax.tree.leaves(tree)))


def _size(array) -> int:
  return math.prod(array.shape) * array.dtype.itemsize


def available() -> int:
  """The bytes that a training may take: `SHARE` of what is free on the device.

  Without a count by the device itself, as on CPU, it is the host's memory that counts.
  """
  stats = jax.local_devices()[0].memory_stats() or {}
  if 'bytes_limit' in stats:
    return int(SHARE * (stats['bytes_limit'] - stats.get('bytes_in_use', 0)))
  return int(SHARE * _free_host())


def image_limit(budget: int | None = None) -> int:
  """The bytes that the images of a dataset may take, both splits, before it is streamed.

  Whole MiB, and of several processes the least.

  Args:
    budget: what a training may take; `available` if it is not given.
  """
  budget = available() if budget is None else budget
  # On the host they lie in any case before they are put onto another device.
  limit = IMAGE_SHARE * min(budget, SHARE * _free_host())
  # All processes stream, or none does.
  return processes.minimum(int(limit / MIB)) * MIB


# What data.streaming may be: the bytes above which a dataset is streamed, by what a training may
# take; None is no such bound.
STREAMING: Mapping[str, Callable[[int], int | None]] = {
  'auto': image_limit,
  'always': lambda budget: 0,
  'never': lambda budget: None,
}


def _free_host(root: pathlib.Path = pathlib.Path('/')) -> int:
  """Bytes that the host can give without swapping, within what a container is allowed."""
  try:
    lines = (root / 'proc' / 'meminfo').read_text().splitlines()
    [kib] = (line.split()[1] for line in lines if line.startswith('MemAvailable:'))
    free = 1024 * int(kib)
  except (OSError, ValueError):
    # Not Linux: what is free cannot be asked for in a portable way, what there is can.
    return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  try:
    group = root / 'sys' / 'fs' / 'cgroup'
    limit, used = (int((group / name).read_text()) for name in ('memory.max', 'memory.current'))
    return min(free, limit - used)
  except (OSError, ValueError):  # No container, or one without a limit.
    return free


def per_group(budget: int, groups: int) -> int:
  """Of a budget in bytes, what each of several trainings at once may take."""
  # They share the host's memory, where devices have their own.
  return budget // groups if jax.default_backend() == 'cpu' else budget


def partition(
  members: Sequence[Member], needs: Mapping[str, MemberMemory], shared: int, budget: int
) -> list[tuple[Member, ...]]:
  """The fewest cohorts, in the members' order, of which each fits.

  Args:
    members: in the order in which they shall train.
    needs: {member's name: Need}.
    shared: bytes that every cohort takes beside its members.
    budget: bytes that a cohort may take.

  Raises:
    UserError: a member does not fit alone.
  """
  parts: list[tuple[Member, ...]] = []
  for member in members:
    alone = _total(shared, [needs[member.name]])
    if alone > budget:
      raise UserError(
        f'the training of {member.name} takes about {alone / MIB:,.0f} MiB, and '
        f'{budget / MIB:,.0f} MiB are free for it; take a smaller batch_size, fewer projectors or '
        'a larger factor'
      )
    longer = (*parts[-1], member) if parts else (member,)
    if parts and _total(shared, [needs[one.name] for one in longer]) <= budget:
      parts[-1] = longer
    else:
      parts.append((member,))
  return parts


def partition_over_groups(
  members: Sequence[Member],
  needs: Mapping[str, MemberMemory],
  shared: int,
  budget: int,
  groups: int,
) -> list[tuple[Member, ...]]:
  """Cohorts for several groups of devices to train at once, in the members' order.

  There are as many for each group, the fewest of which each fits; only of fewer members some
  groups have none. The largest is as small as can be, in activations, which tell best from shapes
  how long a member's step takes.

  Args:
    members: in the order in which they shall train.
    needs: {member's name: Need}.
    shared: bytes that every cohort takes beside its members.
    budget: bytes that a cohort may take.
    groups: of devices.

  Raises:
    UserError: a member does not fit alone.
  """
  parts = partition(members, needs, shared, budget)
  if groups == 1:
    return parts
  count = min(-(-len(parts) // groups) * groups, len(members))

  @functools.cache
  def best(end: int, count: int) -> tuple[float, tuple[int, ...]]:
    """(the largest part's load, where each begins) of the first `end` members in `count` parts."""
    if count == 0:
      return (math.inf if end else 0), ()
    found = [(math.inf, ())]
    for start in range(end):
      part = [needs[member.name] for member in members[start:end]]
      if _total(shared, part) <= budget:
        largest, starts = best(start, count - 1)
        load = sum(need.activation for need in part)
        found.append((max(largest, load), (*starts, start)))
    return min(found)

  _, starts = best(len(members), count)
  return [tuple(members[i:j]) for i, j in itertools.pairwise([*starts, len(members)])]
