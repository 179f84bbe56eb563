"""A cohort: learners in lock step on the same batches, with one frozen teacher."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import struct

from pidkd_jax import methods, models
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Batch, DatasetSpec, Variables
from pidkd_jax.data.pipeline.resident_batches import ResidentBatches
from pidkd_jax.models.network import Network, TeacherOutputs
from pidkd_jax.training import step as steps
from pidkd_jax.training.learner import Learner, State
from pidkd_jax.training.member import Member
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
  """

  teacher: Network | None
  names: tuple[str, ...] = struct.field(pytree_node=False)
  learners: tuple[Learner, ...]
  start: Variables | None = None

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

  def init(self, batch: Batch) -> dict[str, State]:
    """Make the initial states, {name: state}, for batches of this shape."""
    return {
      name: _init(learner, batch, self.teacher, self.start)
      for name, learner in self.by_name.items()
    }

  def step(self, states: Mapping[str, State], batch: Batch, step: jax.Array) -> dict[str, State]:
    """Take one step of every learner. Under an outer `jit` all updates become one program."""
    view = steps.observe(self.teacher, batch)
    return {name: self.update(name, states[name], batch, view, step) for name in self.names}

  def update(
    self, name: str, state: State, batch: Batch, view: TeacherOutputs | None, step: jax.Array
  ) -> State:
    """Take one learner's step; `state` is donated."""
    return _update(self.by_name[name], state, batch, view, step)

  def programs(
    self, initial: Callable[[Batch], Mapping[str, State]], batch: Batch
  ) -> list[Callable[[], jax.stages.Lowered]]:
    """Return functions that lower the programs that `init` and `step` call, each once.

    Nothing is traced before they are called.

    Args:
      initial: makes the initial states, {name: state}.
      batch: arrays or shapes.
    """
    states = functools.cache(lambda: jax.eval_shape(initial, batch))
    view = functools.cache(lambda: jax.eval_shape(steps.observe, self.teacher, batch))

    def update(name: str) -> jax.stages.Lowered:
      return _update.lower(self.by_name[name], states()[name], batch, view(), jnp.int32(0))

    def init(name: str) -> jax.stages.Lowered:
      return _init.lower(self.by_name[name], batch, self.teacher, self.start)

    def observe() -> jax.stages.Lowered:
      return steps.features_and_logits.lower(self.teacher, batch.image)

    distinct = {(one.method, one.optimizer): name for name, one in self.by_name.items()}
    return [
      *([] if self.teacher is None else [observe]),
      *(functools.partial(lower, name) for name in distinct.values() for lower in (update, init)),
    ]

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
    return self.by_name[name].method.deployed(variables, self.teacher)

  def deployed(self, name: str, state: State) -> Network:
    """Return the network that a learner deploys as shapes, from a state of arrays or shapes."""
    method = self.by_name[name].method
    return jax.eval_shape(method.deployed, state.variables, self.teacher)


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
    image: shape and dtype of a batch of images, [B, H, W, C].
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
        'the bundle that config.start names; give that one as the student, or another bundle'
      )
  return Cohort(
    # Without a member that needs it, the teacher is not run.
    teacher=teacher if any(method.needs_teacher for method in bound.values()) else None,
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
  )


@jax.jit(static_argnames='count', donate_argnames='states')
def scan(
  cohort: Cohort,
  states: dict[str, State],
  batches: ResidentBatches,
  order: jax.Array,
  step: jax.Array,
  count: int,
) -> dict[str, State]:
  """Take `count` steps from `step` on in one compiled call, all within the epoch of `order`."""

  def body(states, step):
    return cohort.step(states, batches.batch(order, step), step), None

  return jax.lax.scan(body, states, step + jnp.arange(count))[0]
