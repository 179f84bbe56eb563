"""Estimate the memory that the training of a cohort takes, from shapes alone.

A cohort holds at once:

    shared      the training images (where they are streamed, those that are read ahead), one batch,
                the teacher, and the teacher's features and logits of a batch; of k batches where
                the teacher looks ahead, of two in the lanes of a CPU
    state       of every member: parameters, momentum, BatchNorm's statistics and memory banks;
                the variables of the best epoch where a hold-out selects it; on CPU everything
                twice, as a checkpoint that is being written holds a copy in the same memory
    activation  of one member, the largest, where the members' steps run one after another; of the
                largest two to four in the lanes of a CPU; of all members side by side

A member's activation is the sum of three parts:

    residuals    what the backward pass keeps of the forward pass (`jax.vjp`)
    gradient     one value for each parameter
    coordinates  of the largest max-pooling: one int32 for each axis of each value of its input,
                 which XLA writes out

XLA keeps less where it fuses, and more where it transposes. The estimate was compared with the
temporary memory that XLA sets aside for a step (`memory_analysis`): 19 pairs, methods and batch
sizes on CPU with jax 0.10.2. It was 0.96 to 1.42 times as much, 1.20 in the median. For three
projectors under resnet32x4, the estimate was 480 MiB and XLA's figure 392 MiB. The process that
trained them grew by 670 MiB, where the whole estimate is 640 MiB.

The estimate leaves out compilation, the compiled program and the images of an evaluation. For
these, and for its error, a share of the free memory is left alone (`free_memory.SHARE`).
"""

import dataclasses
import functools
import heapq
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from pidkd_jax.core.types import Batch
from pidkd_jax.models.network import TeacherOutputs
from pidkd_jax.parallel import devices
from pidkd_jax.training import lanes
from pidkd_jax.training.calls import pass_bytes
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.learner import State
from pidkd_jax.training.step import loss, parts


@dataclasses.dataclass(frozen=True)
class MemberMemory:
  """The memory that a member adds.

  Attributes:
    state: bytes that it takes all the time.
    activation: bytes that its own step takes beside them.
  """

  state: int
  activation: int


@dataclasses.dataclass(frozen=True)
class MemoryEstimate:
  """The memory that a cohort takes.

  Attributes:
    shared: bytes that the cohort takes once, however many members it has.
    members: {member: the bytes that it adds}.
    at_once: how many members take their steps at the same time.
  """

  shared: int
  members: Mapping[str, MemberMemory]
  at_once: int = 1

  @property
  def total(self) -> int:
    """Bytes of the whole cohort."""
    members = self.members.values()
    states = sum(member.state for member in members)
    activations = heapq.nlargest(self.at_once, (member.activation for member in members))
    return self.shared + states + sum(activations)

  def subset(self, names: Collection[str]) -> 'MemoryEstimate':
    """Return the estimate for some of the members only."""
    return dataclasses.replace(self, members={name: self.members[name] for name in names})


def estimate(
  cohort: Cohort,
  batch: Batch,
  *,
  images: int = 0,
  selects: bool = False,
  look_ahead: int = 1,
  side_by_side: bool = False,
) -> MemoryEstimate:
  """Estimate the memory that a cohort's training takes. Nothing is compiled or computed.

  Args:
    cohort: its teacher may be arrays or shapes.
    batch: a training batch, as arrays or shapes.
    images: bytes of training images that are held (`Split.held_bytes`).
    selects: whether a hold-out selects each member's epoch.
    look_ahead: k, the batches that the teacher sees in one pass.
    side_by_side: whether equal members take the steps of a call in one program.
  """
  teacher = jax.eval_shape(Cohort.observe, cohort, batch)
  states = jax.eval_shape(Cohort.init, cohort, batch)
  # CPU devices share the host's memory, which also holds the copy that a checkpoint is written
  # from. Other devices have memory of their own, so one device counts, with its shard of a batch
  # and of what follows from it. Variables and their gradients are replicated.
  replicas, copies, shards = devices.count(), devices.count() + 1, 1
  if jax.default_backend() != 'cpu':
    replicas, copies, shards = 1, 1, devices.count()
  # Trials share their program.
  activations = {
    learner.method: activation_bytes(cohort, name, states[name], batch, teacher, shards)
    for name, learner in cohort.by_name.items()
  }
  # In lanes the teacher sees a batch beside the updates on the one before.
  passes = (look_ahead + (lanes.number() > 1)) * pass_bytes(cohort, batch)
  return MemoryEstimate(
    shared=replicas * (images + _bytes((cohort.teacher, cohort.observer))) + passes // shards,
    members={
      name: MemberMemory(
        # A call stacks the states of members that run side by side.
        (copies + side_by_side) * state_bytes(states[name], selects=selects),
        activations[learner.method],
      )
      for name, learner in cohort.by_name.items()
    },
    at_once=len(cohort.names) if side_by_side else lanes.number(),
  )


def state_bytes(state: State, *, selects: bool = False) -> int:
  """Return the bytes of a member's state.

  Args:
    state: arrays or shapes.
    selects: whether the variables of the best epoch are kept beside the latest ones.
  """
  return _bytes(state) + selects * _bytes(state.variables)


def activation_bytes(
  cohort: Cohort,
  name: str,
  state: State,
  batch: Batch,
  teacher: TeacherOutputs | None,
  shards: int = 1,
) -> int:
  """Estimate the bytes that a member's step takes beside its state.

  Args:
    cohort: has the member.
    name: of the member.
    state: of the member, as arrays or shapes; so are batch and teacher.
    batch: a training batch.
    teacher: its outputs on the batch.
    shards: number of devices with memory of their own that share the batch.
  """
  learner = cohort.by_name[name]
  number = learner.optimizer.accumulation
  # On CPU the parts of a batch take as much memory as the whole (`step`).
  at_once = number if jax.default_backend() == 'cpu' else 1
  # Parameters may depend on the number of images, so one part is what a method can be applied to.
  if number > 1:
    batch, teacher = jax.eval_shape(functools.partial(_first_part, number=number), batch, teacher)

  def forward(params, cohort, collections, batch, teacher):
    def of(params):
      return loss(cohort.by_name[name], params, collections, batch, teacher, jnp.int32(0))

    _, backward, _ = jax.vjp(of, params, has_aux=True)
    return jax.tree.leaves(backward)

  program = jax.make_jaxpr(forward)(state.params, cohort, state.collections, batch, teacher).jaxpr
  inputs = {*program.invars, *program.constvars}
  residuals = {
    variable
    for variable in program.outvars
    if not isinstance(variable, core.Literal) and variable not in inputs
  }
  pooled = [
    equation.invars[0].aval
    for equation in _equations(program)
    if equation.primitive.name == 'reduce_window_max'
  ]
  coordinates = max((4 * array.ndim * math.prod(array.shape) for array in pooled), default=0)
  # Of a part, and the mean over all parts.
  gradient = _bytes(state.params) * min(number, 2)
  return gradient + at_once * (sum(_size(one.aval) for one in residuals) + coordinates) // shards


def _first_part(
  batch: Batch, teacher: TeacherOutputs | None, number: int
) -> tuple[Batch, TeacherOutputs | None]:
  batch, teacher = parts(batch, teacher, number)
  batch, outputs = jax.tree.map(
    lambda x: x[0], (batch, teacher and (teacher.features, teacher.logits))
  )
  return batch, teacher and TeacherOutputs(teacher.network, *outputs)


def _equations(program: Any) -> Iterator[Any]:
  """Yield the equations of a jaxpr and of all that it calls."""
  for equation in program.eqns:
    yield equation
    for inner in core.jaxprs_in_params(equation.params):
      yield from _equations(inner)


def _bytes(tree: Any) -> int:
  """Return the bytes of a tree's leaves; one that stands in it twice counts once."""
  return sum(map(_size, {id(leaf): leaf for leaf in jax.tree.leaves(tree)}.values()))


def _size(array: Any) -> int:
  return math.prod(array.shape) * array.dtype.itemsize
