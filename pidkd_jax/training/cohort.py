"""A cohort: learners in lock step on the same batches, with one frozen teacher."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from pidkd_jax import methods, models
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Batch, DatasetSpec, Variables
from pidkd_jax.data.pipeline.resident_batches import ResidentBatches
from pidkd_jax.models.network import Network, TeacherOutputs
from pidkd_jax.parallel import devices
from pidkd_jax.training import program_inputs, stack
from pidkd_jax.training import step as steps
from pidkd_jax.training.learner import Learner, State
from pidkd_jax.training.member import Member
from pidkd_jax.training.observer import observer
from pidkd_jax.training.optimizer import Optimizer

_init = jax.jit(steps.init)
_update = jax.jit(steps.update, donate_argnames='state')


class Cohort(struct.PyTreeNode):
  """Learners that train together.

  The teacher observes each batch once for all learners. Each learner's update is a compiled program
  of its own, so nothing is fused across learners. A learner's result is therefore the same whether
  it trains alone or with others.

  Attributes:
    teacher: the frozen network; None if no learner needs it.
    names: distinct names of the learners.
    learners: in the order of `names`.
    start: the student's variables that all learners begin with; any part may be missing. None for
      random ones.
    observer: the teacher in the form that observes batches (`observer.observer`); None for the
      teacher itself.
    is_stacked: whether each learner stands for several (`stack`).
  """

  teacher: Network | None
  names: tuple[str, ...] = struct.field(pytree_node=False)
  learners: tuple[Learner, ...]
  start: Variables | None = None
  observer: Network | None = None
  is_stacked: bool = struct.field(pytree_node=False, default=False)

  @property
  def by_name(self) -> dict[str, Learner]:
    """{name: learner}."""
    return dict(zip(self.names, self.learners, strict=True))

  def subset(self, names: Collection[str]) -> 'Cohort':
    """Return a cohort of some of the learners; names that it lacks are ignored."""
    if set(self.names) <= set(names):
      return self
    kept = {name: learner for name, learner in self.by_name.items() if name in names}
    return self.replace(names=tuple(kept), learners=tuple(kept.values()))

  def stacked(self) -> 'Cohort':
    """Return a cohort whose learners are the groups of equal ones, named by their first."""
    groups = stack.groups(self.by_name)
    learners = (stack.stack([self.by_name[name] for name in group]) for group in groups)
    return self.replace(
      names=tuple(group[0] for group in groups), learners=tuple(learners), is_stacked=True
    )

  def init(self, batch: Batch) -> dict[str, State]:
    """Make the initial states, {name: state}, for batches of this shape."""
    return {
      name: _init(learner, batch, self.teacher, self.start)
      for name, learner in self.by_name.items()
    }

  def step(self, states: Mapping[str, State], batch: Batch, step: jax.Array) -> dict[str, State]:
    """Take one step of every learner. Under an outer `jit` all updates become one program."""
    return self.update_all(states, batch, self.observe(batch), step)

  def observe(self, batch: Batch) -> TeacherOutputs | None:
    """Let the frozen teacher see a batch, once for all learners."""
    if self.observer is None:
      return steps.observe(self.teacher, batch)
    view = steps.observe(self.observer, batch)
    assert view is not None
    return view.replace(network=self.teacher)

  def update_all(
    self, states: Mapping[str, State], batch: Batch, view: TeacherOutputs | None, step: jax.Array
  ) -> dict[str, State]:
    """Take one step of every learner on a batch that the teacher has seen."""
    return {name: self.update(name, states[name], batch, view, step) for name in self.names}

  def update(
    self, name: str, state: State, batch: Batch, view: TeacherOutputs | None, step: jax.Array
  ) -> State:
    """Take one learner's step; `state` is donated."""
    return self._update(self.by_name[name], state, batch, view, step)

  @property
  def _update(self) -> Any:
    """The jitted step of a learner."""
    return stack.update if self.is_stacked else _update

  def programs(
    self, initial: Callable[[Batch], Mapping[str, State]], batch: Batch
  ) -> list[Callable[[], jax.stages.Lowered]]:
    """Return functions that lower the programs that `step` calls, each once.

    Nothing is traced before they are called.

    Args:
      initial: makes the initial states, {name: state}.
      batch: arrays or shapes.
    """
    placed = devices.sharded_shapes(batch)
    states = functools.cache(lambda: devices.replicated_shapes(jax.eval_shape(initial, batch)))

    @functools.cache
    def view() -> TeacherOutputs | None:
      shapes = jax.eval_shape(Cohort.observe, self, batch)
      if shapes is None:
        return None
      features, logits = devices.sharded_shapes((shapes.features, shapes.logits))
      return shapes.replace(network=self.teacher, features=features, logits=logits)

    def update(name: str) -> jax.stages.Lowered:
      return _update.lower(self.by_name[name], states()[name], placed, view(), jnp.int32(0))

    def observe() -> jax.stages.Lowered:
      return steps.features_and_logits.lower(self.observer or self.teacher, placed.seen)

    return [
      *([] if self.teacher is None else [observe]),
      *(functools.partial(update, name) for name in self._distinct),
    ]

  def initial_programs(self, batch: Batch) -> list[Callable[[], jax.stages.Lowered]]:
    """Return functions that lower the programs that `init` calls, each once.

    Args:
      batch: arrays or shapes.
    """
    batch = devices.sharded_shapes(batch)
    return [
      functools.partial(_init.lower, self.by_name[name], batch, self.teacher, self.start)
      for name in self._distinct
    ]

  @property
  def _distinct(self) -> list[str]:
    """The names of learners whose programs differ."""
    return list({(one.method, one.optimizer): name for name, one in self.by_name.items()}.values())

  def outputs_read(self, states: Mapping[str, State], batch: Batch) -> list[bool]:
    """Return which of the teacher's outputs the steps of the learners read.

    Nothing is compiled or computed.

    Args:
      states: arrays or shapes.
      batch: arrays or shapes.

    Returns:
      For each array of the view's features and logits, in the order of `jax.tree.leaves`.
    """
    view = jax.eval_shape(Cohort.observe, self, batch)
    assert view is not None
    arguments = (batch, view, jnp.int32(0))
    numbered = jax.tree.unflatten(
      jax.tree.structure(arguments), range(len(jax.tree.leaves(arguments)))
    )
    outputs = jax.tree.leaves((numbered[1].features, numbered[1].logits))
    read = [False] * len(outputs)
    for name in self._distinct:
      shapes = jax.eval_shape(lambda *own: own, self.by_name[name], states[name])
      inputs = program_inputs.read(self._update.trace(*shapes, *arguments).jaxpr)
      rest = inputs[len(jax.tree.leaves(shapes)) :]
      read = [before or rest[place] for before, place in zip(read, outputs, strict=True)]
    return read

  def reading_single_images(self, batch: Batch) -> set[str]:
    """Return the names of learners whose steps read `label` or `index` of a batch.

    Nothing is compiled or computed.

    Args:
      batch: with soft labels; arrays or shapes.
    """
    states = jax.eval_shape(Cohort.init, self, batch)
    view = jax.eval_shape(Cohort.observe, self, batch)
    found = set()
    for name in self.names:
      arguments = jax.eval_shape(lambda *own: own, self.by_name[name], states[name], batch)
      read = program_inputs.read(_update.trace(*arguments, view, jnp.int32(0)).jaxpr)
      numbered = jax.tree.unflatten(
        jax.tree.structure(arguments), range(len(jax.tree.leaves(arguments)))
      )[2]
      if read[numbered.label] or read[numbered.index]:
        found.add(name)
    return found

  def memory(self, name: str, state: State, batch: Batch, view: TeacherOutputs | None) -> int:
    """Return the bytes that XLA plans for a learner's step; a compiled program is reused."""
    planned = (
      _update.lower(self.by_name[name], state, batch, view, jnp.int32(0))
      .compile()
      .memory_analysis()
    )
    assert planned is not None  # CPU, GPU and TPU have one.
    kept = planned.argument_size_in_bytes + planned.output_size_in_bytes
    return kept - planned.alias_size_in_bytes + planned.temp_size_in_bytes

  def network(self, name: str, variables: Variables) -> Network:
    """Return the network that a learner deploys."""
    return self.by_name[name].deployed(variables, self.teacher)

  def deployed(self, name: str, state: State) -> Network:
    """Return the network that a learner deploys as shapes, from a state of arrays or shapes."""
    return jax.eval_shape(self.by_name[name].deployed, state.variables, self.teacher)


def assemble(
  members: Sequence[Member],
  *,
  teacher: Network | None,
  dataset: DatasetSpec,
  image: jax.Array | jax.ShapeDtypeStruct,
  optimizer: Optimizer,
  key: jax.Array,
  start: Network | None = None,
) -> Cohort:
  """Make a cohort from the plain values of its members.

  Args:
    members: distinct names, each with its method, student and optimizer.
    teacher: the frozen network; None only if no member needs it.
    dataset: the training split's description.
    image: shape and dtype of a batch of images that the teacher sees, [B, H, W, C].
    optimizer: the recipe in steps.
    key: PRNG key; each member's trial is folded in.
    start: a student with whose variables every member begins. Variables that it lacks, as a
      distilled student lacks its classifier, are random.

  Raises:
    UserError: a method, hyper-parameter or student is unknown, or a student is not that of `start`.
  """
  # The same jitted function observes batches later, so it is traced once.
  target = None if teacher is None else jax.eval_shape(steps.features_and_logits, teacher, image)[0]
  bound = {
    member.name: methods.create(member.method, **member.hyperparameters)(
      student=models.create(member.student, num_classes=dataset.num_classes),
      target=target,
      dataset=dataset,
    )
    for member in members
  }
  for member in members:
    if start is not None and bound[member.name].student != start.model:
      raise UserError(
        f'{member.label} trains {member.student}, which is not the {type(start.model).__name__} of '
        'the bundle to start from; name that network, or another bundle'
      )
  # Without a member that needs it, the teacher is not run.
  if not any(method.needs_teacher for method in bound.values()):
    teacher = None
  return Cohort(
    teacher=teacher,
    names=tuple(bound),
    learners=tuple(
      Learner.create(
        bound[member.name],
        optimizer,
        jax.random.fold_in(key, member.trial + 1),
        member.optimizer,
      )
      for member in members
    ),
    start=start and start.variables,
    observer=teacher and observer(teacher, image),
  )


@jax.jit(static_argnames=('count', 'look_ahead', 'side_by_side'), donate_argnames='states')
def scan(
  cohort: Cohort,
  states: dict[str, State],
  batches: ResidentBatches,
  order: jax.Array,
  step: jax.Array,
  count: int,
  look_ahead: int = 1,
  side_by_side: bool = False,
) -> dict[str, State]:
  """Take `count` steps from `step` on in one compiled call, or those that the epoch still has.

  Args:
    cohort: learners and teacher.
    states: before the steps; they are donated.
    batches: of the training split.
    order: int32 [N], of the epoch that `step` lies in.
    step: int32 scalar, the first step.
    count: the number of steps, a multiple of `look_ahead`. Those beyond the epoch's end are
      computed and alter nothing, so that one program serves all calls.
    look_ahead: k, the steps whose batches the teacher sees in one pass. Batches are functions of
      the step, so they are known ahead. Changing it alters results only by rounding.
    side_by_side: whether learners of equal programs take each step together (`stack.update`).
      Changing it alters results only by rounding.
  """
  if not side_by_side:
    return _scan(cohort, states, batches, order, step, count, look_ahead)
  groups = stack.groups(cohort.by_name)
  stacked = {group[0]: stack.stack([states[name] for name in group]) for group in groups}
  stacked = _scan(cohort.stacked(), stacked, batches, order, step, count, look_ahead)
  after = {}
  for group in groups:
    after |= zip(group, stack.unstack(stacked[group[0]], len(group)), strict=True)
  return after


def _scan(
  cohort: Cohort,
  states: dict[str, State],
  batches: ResidentBatches,
  order: jax.Array,
  step: jax.Array,
  count: int,
  look_ahead: int,
) -> dict[str, State]:
  if count % look_ahead:
    raise ValueError(f'{count} steps are no multiple of {look_ahead}')
  epoch = batches.steps_per_epoch
  end = (step // epoch + 1) * epoch

  def advance(states, batch, view, step):
    after = cohort.update_all(states, batch, view, step)
    return jax.tree.map(lambda new, old: jnp.where(step < end, new, old), after, states), None

  if cohort.teacher is None or look_ahead == 1:

    def body(states, step):
      batch = batches.batch(order, step)
      return advance(states, batch, cohort.observe(batch), step)

    return jax.lax.scan(body, states, step + jnp.arange(count, dtype=jnp.int32))[0]

  read = cohort.outputs_read(states, jax.eval_shape(batches.batch, order, step))

  def take(states, first):
    ahead = first + jnp.arange(look_ahead, dtype=jnp.int32)
    seen = jax.vmap(batches.batch, (None, 0))(order, ahead)
    view = cohort.observe(devices.join_batches(seen))
    assert view is not None
    outputs, tree = jax.tree.flatten((view.features, view.logits))
    # What no learner reads goes no further, so XLA neither keeps nor computes it.
    kept = devices.split_batches(
      [output for output, one in zip(outputs, read, strict=True) if one], look_ahead
    )

    def body(states, now):
      step, batch, kept = now
      known = iter(kept)
      features, logits = jax.tree.unflatten(
        tree,
        [
          next(known) if one else jnp.zeros((len(batch.label), *output.shape[1:]), output.dtype)
          for output, one in zip(outputs, read, strict=True)
        ],
      )
      return advance(states, batch, TeacherOutputs(view.network, features, logits), step)

    return jax.lax.scan(body, states, (ahead, seen, kept))[0], None

  firsts = step + look_ahead * jnp.arange(count // look_ahead, dtype=jnp.int32)
  return jax.lax.scan(take, states, firsts)[0]
