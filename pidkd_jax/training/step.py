"""One training step as pure functions: observe, init, loss, update.

They have no side effects and may be jitted, scanned, differentiated and vmapped. `Cohort` calls
jitted forms of them.

    view = observe(teacher, batch)               # the frozen teacher sees the batch, once for all
    state = init(learner, batch, teacher)
    state = update(learner, state, batch, view, step)
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util
from flax.core import DenyList

from pidkd_jax.core.types import Batch, Features, Variables
from pidkd_jax.models.network import Network, TeacherOutputs
from pidkd_jax.parallel import devices
from pidkd_jax.training.learner import Learner, State


def observe(teacher: Network | None, batch: Batch) -> TeacherOutputs | None:
  """Run the frozen teacher on a batch.

  Args:
    teacher: the network, in inference mode; None without a teacher.
    batch: images [B, H, W, C].

  Returns:
    The teacher's features and logits [B, K], which every learner of a cohort shares; None without
    a teacher.
  """
  return (
    None if teacher is None else TeacherOutputs(teacher, *features_and_logits(teacher, batch.seen))
  )


@jax.jit
def features_and_logits(network: Network, image: jax.Array) -> tuple[Features, jax.Array]:
  """Run a network in inference mode: images [B, H, W, C] -> features, logits [B, K]."""
  features = network.encode(image)
  return devices.shard_batch((features, network.classify(features.pooled)))


def init(
  learner: Learner, batch: Batch, teacher: Network | None, start: Variables | None = None
) -> State:
  """Make a learner's initial state.

  Args:
    learner: the training to begin.
    batch: any training batch; only its shapes matter for most methods. Where the recipe accumulates
      gradients, the method sees its first part, as parameters may depend on the number of images.
    teacher: the frozen teacher, or None for a method that needs none.
    start: the student's variables to begin with in place of random ones. Any part may be missing.
  """
  number = learner.optimizer.accumulation
  if number > 1:
    batch = jax.tree.map(lambda x: x[0], devices.parts_of_batch(batch, number))
  # Observed here and not an argument: where only its shapes matter, XLA computes nothing.
  view = observe(teacher, batch)
  params_key, stream_key = jax.random.split(learner.key)
  terms, variables = learner.bound_method().init_with_output(
    {'params': params_key, **_streams(stream_key)},
    batch,
    view,
    progress=jnp.float32(0),
    method='loss',
  )
  variables = _overlaid(variables, start)
  params, zero = variables['params'], jnp.float32(0)
  state = State(
    params=params,
    collections={name: tree for name, tree in variables.items() if name != 'params'},
    opt_state=_transform(learner, learner.hparams['learning_rate']).init(params),
    loss_sums={name: zero for name in (*terms, 'loss')},
    bad_step=jnp.int32(-1),
  )
  return devices.replicate(state.replace(average=learner.averaged(state)))


def loss(
  learner: Learner,
  params: Any,
  collections: Variables,
  batch: Batch,
  view: TeacherOutputs | None,
  step: jax.Array,
  part: jax.Array | None = None,
) -> tuple[jax.Array, tuple[dict[str, jax.Array], Variables]]:
  """Compute the scalar loss that a step differentiates by `params`.

  Args:
    learner: the training.
    params: the parameters, as `State.params`.
    collections: the other variables, as `State.collections`.
    batch: a training batch.
    view: `observe` of the same batch.
    step: int32 scalar, counted from 0.
    part: int32 scalar, the number of a part of a step's batch, which has a key of its own.

  Returns:
    (loss, ({term: scalar, 'loss': scalar}, the collections after the step)).
  """
  key = jax.random.fold_in(jax.random.split(learner.key)[1], step)
  terms, collections = learner.bound_method().apply(
    {'params': params, **collections},
    batch,
    view,
    progress=learner.optimizer.progress(step),
    method='loss',
    mutable=DenyList(['params', 'intermediates']),
    rngs=_streams(key if part is None else jax.random.fold_in(key, part)),
  )
  terms = {name: jnp.mean(term) for name, term in terms.items()}
  total = jnp.asarray(sum(terms.values()))
  return total, (terms | {'loss': total}, collections)


def update(
  learner: Learner, state: State, batch: Batch, view: TeacherOutputs | None, step: jax.Array
) -> State:
  """Take one training step.

  `State.loss_sums` grows by this step's terms. Set it to zero where an epoch begins.

  Args:
    learner: the training.
    state: before the step.
    batch: a training batch.
    view: `observe` of the same batch, or None for a method that needs no teacher.
    step: int32 scalar, counted from 0 at the beginning of the training.
  """
  gradient, (terms, collections) = _gradient(learner, state, batch, view, step)
  rate = learner.hparams['learning_rate'] * learner.optimizer.rate(step)
  change, opt_state = _transform(learner, rate).update(gradient, state.opt_state, state.params)
  change = _scaled(change, learner.bound_method().rates())
  bad = (state.bad_step < 0) & ~jnp.isfinite(terms['loss'])
  state = state.replace(
    params=optax.apply_updates(state.params, change),
    collections=collections,
    opt_state=opt_state,
    loss_sums={name: _added(state.loss_sums[name], term) for name, term in terms.items()},
    bad_step=jnp.where(bad, step, state.bad_step),
  )
  return devices.replicate(state.replace(average=learner.averaged(state)))


def parts(
  batch: Batch, view: TeacherOutputs | None, number: int
) -> tuple[Batch, TeacherOutputs | None]:
  """Divide a batch of a traced function, [B, ...] -> [number, B / number, ...].

  The teacher's outputs are divided, too; its network is left as it is.
  """
  if view is None:
    return devices.parts_of_batch(batch, number), None
  batch, features, logits = devices.parts_of_batch((batch, view.features, view.logits), number)
  return batch, view.replace(features=features, logits=logits)


def _gradient(
  learner: Learner, state: State, batch: Batch, view: TeacherOutputs | None, step: jax.Array
) -> tuple[Any, tuple[dict[str, jax.Array], Variables]]:
  """Return the gradient, and what `loss` returns beside the loss.

  Where the recipe accumulates gradients, both are means over the parts of the batch, which run one
  after another. BatchNorm's statistics move with each part.
  """
  differentiate = jax.grad(loss, argnums=1, has_aux=True)
  number = learner.optimizer.accumulation
  if number == 1:
    return differentiate(learner, state.params, state.collections, batch, view, step)
  batch, view = parts(batch, view, number)
  outputs = view and (view.features, view.logits)

  def add(carry, now):
    collections, means = carry
    part, batch, outputs = now
    seen = view and TeacherOutputs(view.network, *outputs)
    gradient, (terms, collections) = differentiate(
      learner, state.params, collections, batch, seen, step, part
    )
    means = jax.tree.map(lambda mean, one: _added(mean, one / number), means, (gradient, terms))
    return (collections, means), None

  zeros = jax.tree.map(jnp.zeros_like, (state.params, state.loss_sums))
  (collections, (gradient, terms)), _ = jax.lax.scan(
    add,
    (state.collections, zeros),
    (jnp.arange(number), batch, outputs),
    # A convolution's gradient in a loop body is slow on CPU. Without a loop no memory is saved.
    unroll=jax.default_backend() == 'cpu',
  )
  return gradient, (terms, collections)


def _added(total: jax.Array, one: jax.Array) -> jax.Array:
  """Return a sum of the total's type; where JAX computes in 64 bits, some terms have these."""
  return (total + one).astype(total.dtype)


def _transform(learner: Learner, learning_rate: jax.Array) -> optax.GradientTransformation:
  return learner.optimizer.transform(learning_rate, learner.hparams['weight_decay'])


def _scaled(change: Any, rates: Mapping[str, jax.Array | float]) -> Any:
  """Return a change of the parameters, with the submodules' own rates."""
  return change | {
    module: optax.tree.scale(factor, change[module]) for module, factor in rates.items()
  }


def _streams(key: jax.Array) -> dict[str, jax.Array]:
  """Make the random streams of the method, and of Dropout in a user's own network."""
  return {'method': key, 'dropout': jax.random.fold_in(key, 1)}


def _overlaid(variables: Variables, start: Variables | None) -> Variables:
  """Return the variables with those of the student that `start` holds."""
  flat: dict[tuple[str, ...], Any] = traverse_util.flatten_dict(variables)
  for (collection, *path), value in traverse_util.flatten_dict(start or {}).items():
    place = (collection, 'student', *path)
    if place in flat:
      flat[place] = value
  return traverse_util.unflatten_dict(flat)
