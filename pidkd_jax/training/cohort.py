"""A cohort: what is trained together, and one step of it."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct, traverse_util
from flax.core import DenyList

from pidkd_jax import methods, models
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Batch, DatasetSpec, Features, Network, TeacherOutputs, Variables
from pidkd_jax.data.pipeline.resident_batches import ResidentBatches
from pidkd_jax.methods.base import Method, hyperparameters
from pidkd_jax.parallel import devices
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams


@dataclasses.dataclass(frozen=True)
class Member:
  """One training in a cohort, as plain values.

  Attributes:
    label: what it is called in tables; trials share it.
    student: name of the network that it trains.
    method: name of the method.
    hyperparameters: of the method, where they are not its defaults.
    numbers: learning rate and weight decay.
    trial: with the cohort's seed it decides the initial weights and all else that is random
      in this member alone; so the same trial starts from the same student in every method.
      -1 is a teacher's: none of its students begins with its weights.
  """

  label: str
  student: str
  method: str
  hyperparameters: Mapping[str, Any]
  numbers: OptimizerHparams
  trial: int

  @property
  def name(self) -> str:
    return self.label if self.trial < 0 else f'{self.label}-{self.trial}'


@struct.dataclass
class Best:
  """A member at its best epoch on the hold-out."""

  variables: Variables
  epoch: jax.Array
  top1: jax.Array


@struct.dataclass
class State:
  """All that changes in a member from step to step.

  Attributes:
    params: what the gradient moves.
    collections: the other variables: BatchNorm's statistics, memory banks.
    momentum: the optimizer's state.
    sums: each term of the loss and their total, added up over the epoch.
    bad_step: the first step whose loss was not finite, or -1.
    best: where there is a hold-out, the best epoch so far.
  """

  params: Any
  collections: Variables
  momentum: optax.OptState
  sums: dict[str, jax.Array]
  bad_step: jax.Array
  best: Best | None = None

  @property
  def variables(self) -> Variables:
    return {'params': self.params, **self.collections}


@struct.dataclass
class Cohort:
  """Members ready to train: programs (static) and numbers (traced) apart.

  Members whose methods differ only in numbers, or which differ only in their seed, have equal
  `methods` entries and so share one compiled update.

  Attributes:
    teacher: frozen; None if no member needs one.
    numbers: {member: {number: float32 scalar}}, its own and its method's.
    keys: {member: PRNG key}.
    methods: ((member, method), ...), hashable; the methods' numbers are blank.
    optimizer: hashable.
    start: what members' students begin with, in place of weights drawn at random: a student's
      variables, of which any part may lack; None for none.
  """

  teacher: Network | None
  numbers: dict[str, dict[str, jax.Array]]
  keys: dict[str, jax.Array]
  methods: tuple[tuple[str, Method], ...] = struct.field(pytree_node=False)
  optimizer: Optimizer = struct.field(pytree_node=False)
  start: Variables | None = None

  def of(self, names: Collection[str]) -> 'Cohort':
    """The same with some of its members only."""
    kept = tuple((name, method) for name, method in self.methods if name in names)
    if len(kept) == len(self.methods):
      return self
    return self.replace(
      methods=kept,
      numbers={name: self.numbers[name] for name, _ in kept},
      keys={name: self.keys[name] for name, _ in kept},
    )

  def init(self, batch: Batch) -> dict[str, State]:
    """The members' initial states, for batches like this one."""
    return {
      name: _init(
        method,
        self.optimizer,
        self.numbers[name],
        self.keys[name],
        batch,
        self.teacher,
        self.start,
      )
      for name, method in self.methods
    }

  def programs(self, states: Mapping[str, State], batch: Batch) -> Iterator[jax.stages.Lowered]:
    """What `init` and `step` call, each program once.

    Args:
      states: as arrays or shapes.
      batch: likewise.
    """
    teacher = jax.eval_shape(observe, self.teacher, batch)
    if self.teacher is not None:
      yield _observe.lower(self.teacher, batch.image)
    members = {method: name for name, method in self.methods}
    for method, name in members.items():
      given = self.numbers[name], self.keys[name], batch
      yield _update.lower(method, self.optimizer, states[name], *given, teacher, jnp.int32(0))
      yield _init.lower(method, self.optimizer, *given, self.teacher, self.start)

  def step(self, states: Mapping[str, State], batch: Batch, step: jax.Array) -> dict[str, State]:
    """One step of every member; the teacher sees the batch once.

    Each part is compiled on its own, so that nothing is fused across members and a member's
    result is the same alone and in company; under an outer `jit` all becomes one program.
    """
    teacher = observe(self.teacher, batch)
    return {name: self.update(name, states[name], batch, teacher, step) for name, _ in self.methods}

  def update(
    self, name: str, state: State, batch: Batch, teacher: TeacherOutputs | None, step: jax.Array
  ) -> State:
    """One member's step."""
    method = dict(self.methods)[name]
    return _update(
      method, self.optimizer, state, self.numbers[name], self.keys[name], batch, teacher, step
    )

  def memory(self, name: str, state: State, batch: Batch, teacher: TeacherOutputs | None) -> int:
    """Bytes of one member's step as XLA plans it, with what it is given; no second compilation."""
    method = dict(self.methods)[name]
    planned = (
      _update.lower(
        method,
        self.optimizer,
        state,
        self.numbers[name],
        self.keys[name],
        batch,
        teacher,
        jnp.int32(0),
      )
      .compile()
      .memory_analysis()
    )
    kept = planned.argument_size_in_bytes + planned.output_size_in_bytes
    return kept - planned.alias_size_in_bytes + planned.temp_size_in_bytes

  def loss(
    self,
    name: str,
    params: Any,
    collections: Variables,
    batch: Batch,
    teacher: TeacherOutputs | None,
    step: jax.Array,
  ) -> tuple[jax.Array, tuple[dict[str, jax.Array], Variables]]:
    """What one member's step takes the gradient of, by `params`.

    Returns:
      (loss, (its terms and itself by name, the collections afterwards)).
    """
    method = dict(self.methods)[name]
    return _loss(
      params,
      method,
      self.optimizer,
      collections,
      self.numbers[name],
      self.keys[name],
      batch,
      teacher,
      step,
    )

  def network(self, name: str, variables: Variables) -> Network:
    """What a member's bundle keeps of its variables."""
    return dict(self.methods)[name].deployed(variables, self.teacher)

  def deployed(self, name: str, state: State) -> Network:
    """The same as shapes, of a state as arrays or shapes."""
    method = dict(self.methods)[name]
    return jax.eval_shape(method.deployed, state.variables, self.teacher)


def assemble(
  members: Sequence[Member],
  *,
  teacher: Network | None,
  dataset: DatasetSpec,
  image: jax.ShapeDtypeStruct,
  optimizer: Optimizer,
  key: jax.Array,
  start: Network | None = None,
) -> Cohort:
  """Makes a cohort of its members.

  Args:
    members: with distinct names.
    teacher: frozen; None only if no member needs it.
    dataset: of the training.
    image: shape of a training batch, float32 [B, H, W, C].
    optimizer: the recipe in steps.
    key: PRNG key of the members' own randomness.
    start: a student with the variables that every member's begins with; what is not in them, as
      the classifier of one that was distilled, is drawn as ever.

  Raises:
    UserError: an unknown method, hyper-parameter or student, or one that is not that of `start`.
  """
  # By what observes batches later, so that it is traced once.
  target = None if teacher is None else jax.eval_shape(_observe, teacher, image)[0]
  whole = {
    member.name: methods.create(member.method, **member.hyperparameters)(
      student=models.create(member.student, num_classes=dataset.num_classes),
      target=target,
      dataset=dataset,
    )
    for member in members
  }
  for member in members:
    if start is not None and whole[member.name].student != start.model:
      raise UserError(
        f'{member.label} trains {member.student}, which is not the {type(start.model).__name__} of '
        'the bundle that config.start names; give that one as the student, or another bundle'
      )
  numbers = {
    member.name: dataclasses.asdict(member.numbers) | _numbers(whole[member.name])
    for member in members
  }
  return Cohort(
    # What no member needs is not computed.
    teacher=teacher if any(method.needs_teacher for method in whole.values()) else None,
    numbers=jax.tree.map(jnp.float32, numbers),
    keys={member.name: jax.random.fold_in(key, member.trial + 1) for member in members},
    methods=tuple(
      (name, method.clone(**dict.fromkeys(_numbers(method)))) for name, method in whole.items()
    ),
    optimizer=optimizer,
    start=start and start.variables,
  )


def _numbers(method: Method) -> dict[str, Any]:
  """A method's hyper-parameters that are traced."""
  fields = hyperparameters(type(method))
  return {
    name: getattr(method, name) for name, field in fields.items() if field.type in (float, 'float')
  }


def _fill(method: Method, numbers: Mapping[str, jax.Array]) -> Method:
  return method.clone(**{name: numbers[name] for name in _numbers(method)})


@jax.jit(static_argnames='count', donate_argnames='states')
def scan(
  cohort: Cohort,
  states: Mapping[str, State],
  stream: ResidentBatches,
  order: jax.Array,
  step: jax.Array,
  count: int,
) -> dict[str, State]:
  """`count` steps in one compiled call, from `step` on, all within the epoch of `order`."""

  def body(states, step):
    return cohort.step(states, stream.batch(order, step), step), None

  return jax.lax.scan(body, states, step + jnp.arange(count))[0]


def observe(teacher: Network | None, batch: Batch) -> TeacherOutputs | None:
  """The teacher's view of a batch, computed once for all members."""
  return None if teacher is None else TeacherOutputs(teacher, *_observe(teacher, batch.image))


@jax.jit
def _observe(teacher: Network, image: jax.Array) -> tuple[Features, jax.Array]:
  features = teacher.encode(image)
  return features, teacher.classify(features.pooled)


def _streams(key: jax.Array) -> dict[str, jax.Array]:
  """Random numbers for the method, and for Dropout in a network of the user's own."""
  return {'method': key, 'dropout': jax.random.fold_in(key, 1)}


@jax.jit(static_argnames=('method', 'optimizer'))
def _init(method, optimizer, numbers, key, batch, teacher, start) -> State:
  method = _fill(method, numbers)
  # Here, and not before: where only its shapes count, as in most methods, it is not computed.
  teacher = observe(teacher, batch)
  params_key, stream_key = jax.random.split(key)
  rngs = {'params': params_key, **_streams(stream_key)}
  terms, variables = method.init_with_output(
    rngs, batch, teacher, progress=jnp.float32(0), method='loss'
  )
  variables = _begun(variables, start)
  params = variables['params']
  transform = optimizer.transform(numbers['learning_rate'], numbers['weight_decay'])
  state = State(
    params=params,
    collections={name: tree for name, tree in variables.items() if name != 'params'},
    momentum=transform.init(params),
    sums=dict.fromkeys([*terms, 'loss'], jnp.float32(0)),
    bad_step=jnp.int32(-1),
  )
  return devices.replicate(state)


def _begun(variables: Variables, start: Variables | None) -> Variables:
  """The same with the student's variables that `start` has."""
  flat = traverse_util.flatten_dict(variables)
  for (collection, *path), value in traverse_util.flatten_dict(start or {}).items():
    place = (collection, 'student', *path)
    if place in flat:
      flat[place] = value
  return traverse_util.unflatten_dict(flat)


def _loss(params, method, optimizer, collections, numbers, key, batch, teacher, step):
  rngs = _streams(jax.random.fold_in(jax.random.split(key)[1], step))
  terms, collections = _fill(method, numbers).apply(
    {'params': params, **collections},
    batch,
    teacher,
    progress=optimizer.progress(step),
    method='loss',
    mutable=DenyList(['params', 'intermediates']),
    rngs=rngs,
  )
  terms = {name: jnp.mean(term) for name, term in terms.items()}
  total = sum(terms.values())
  return total, (terms | {'loss': total}, collections)


@jax.jit(static_argnames=('method', 'optimizer'), donate_argnames='state')
def _update(method, optimizer, state, numbers, key, batch, teacher, step) -> State:
  gradient, (terms, collections) = jax.grad(_loss, has_aux=True)(
    state.params, method, optimizer, state.collections, numbers, key, batch, teacher, step
  )
  transform = optimizer.transform(
    numbers['learning_rate'] * optimizer.rate(step), numbers['weight_decay']
  )
  change, momentum = transform.update(gradient, state.momentum, state.params)
  for module, rate in _fill(method, numbers).rates().items():
    change = change | {module: jax.tree.map(lambda leaf, rate=rate: rate * leaf, change[module])}
  bad = (state.bad_step < 0) & ~jnp.isfinite(terms['loss'])
  state = state.replace(
    params=optax.apply_updates(state.params, change),
    collections=collections,
    momentum=momentum,
    sums={name: state.sums[name] + term for name, term in terms.items()},
    bad_step=jnp.where(bad, step, state.bad_step),
  )
  return devices.replicate(state)
