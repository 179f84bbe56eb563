"""A cohort's members are independent of one another, and trials share compiled programs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from pidkd_jax.core.errors import UserError
from pidkd_jax.methods import base
from pidkd_jax.methods.base import Method
from pidkd_jax.training.cohort import Cohort, _update
from pidkd_jax.training.learner import Learner
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams
from pidkd_jax.training.step import observe

HPARAMS = OptimizerHparams(learning_rate=0.05, weight_decay=5e-4)


def member(method, trial=0, hparams=HPARAMS, label=None, student='tests.plain:Plain', **chosen):
  return Member(label or method, student, method, chosen, hparams, trial)


def assert_same(tree, other):
  jax.tree.map(np.testing.assert_array_equal, tree, other)


def momentum(state):
  """Return the momentum of the optimizer's state."""
  [trace] = (part.trace for part in state.opt_state if isinstance(part, optax.TraceState))
  return trace


def test_a_member_trains_alone_as_in_a_cohort(assemble, train):
  members = [
    member('scratch', 0),
    member('kd_1_1', 0),
    member('kd_1_1', 1),
    member('kd_1_1', 0, OptimizerHparams(0.2, 0.0), label='fast'),
    member('pidkd', 0),
  ]
  together = train(assemble(*members), range(3))
  assert len(together) == 5
  for one in members:
    assert_same(train(assemble(one), range(3))[one.name], together[one.name])


def test_trials_and_hyper_parameters_share_one_compiled_update(assemble, train):
  # No other test has this momentum, so the program is not compiled yet.
  optimizer = Optimizer(3, (6,), 0.1, 0.75)
  before = _update._cache_size()
  train(assemble(*(member('kd_1_1', trial) for trial in range(5)), optimizer=optimizer), range(3))
  assert _update._cache_size() == before + 1
  others = (
    member('kd_1_1', 0, OptimizerHparams(0.2, 0.01), label='fast'),
    member('kd_1_1', 0, label='heavy', weight=7.0, temperature=2.0),
  )
  cohort = assemble(*others, seed=1, optimizer=optimizer)
  train(cohort, range(2))
  assert _update._cache_size() == before + 1
  assert cohort.learners[0].method == cohort.learners[1].method


def test_other_projectors_need_another_program(assemble):
  cohort = assemble(*(member('pidkd', label=str(f), factor=f) for f in (1, 2)))
  assert cohort.learners[0].method != cohort.learners[1].method


def test_a_submodule_may_have_its_own_learning_rate(assemble, train):
  none = OptimizerHparams(0.05, 0.0)
  cohort = assemble(
    member('pidkd', 0, none, label='plain'),
    member('pidkd', 0, none, label='fast', projector_rate=3.0),
  )
  initial = train(cohort, [])
  states = train(cohort, [0], initial)

  def moves(label, module):
    before, after = (tree[f'{label}-0'].params[module] for tree in (initial, states))
    return jax.tree.map(lambda a, b: a - b, after, before)

  assert_same(moves('plain', 'student'), moves('fast', 'student'))
  jax.tree.map(
    lambda plain, fast: np.testing.assert_allclose(fast, 3 * plain, rtol=1e-3, atol=1e-6),
    moves('plain', 'projectors'),
    moves('fast', 'projectors'),
  )


def test_traced_hyper_parameters_take_effect(assemble, train):
  """In one step on the same batch the gradients scale by the weight, the moves by the rate."""
  none = OptimizerHparams(0.05, 0.0)
  cohort = assemble(
    member('simkd_published', 0, none, label='plain'),
    member('simkd', 0, none, label='heavy', weight=3.0, normalize=False),
    member('simkd_published', 0, OptimizerHparams(0.1, 0.0), label='fast'),
    member('simkd_published', 0, OptimizerHparams(0.05, 0.5), label='decayed'),
  )
  initial = train(cohort, [])
  states = train(cohort, [0], initial)
  start = initial['plain-0'].params

  def check(relation, *names):
    trees = [momentum(states[name]) for name in names]
    jax.tree.map(relation, start, *trees)

  close = dict(rtol=1e-3, atol=1e-6)
  check(lambda _, g, heavy: np.testing.assert_allclose(heavy, 3 * g, **close), 'plain-0', 'heavy-0')
  check(lambda _, g, fast: np.testing.assert_array_equal(fast, g), 'plain-0', 'fast-0')
  # PyTorch's weight decay joins the gradient, on every parameter, norms included.
  check(
    lambda p, g, decayed: np.testing.assert_allclose(decayed, g + 0.5 * p, rtol=1e-5, atol=1e-7),
    'plain-0',
    'decayed-0',
  )
  for name, rate in (('plain-0', 0.05), ('heavy-0', 0.05), ('fast-0', 0.1), ('decayed-0', 0.05)):
    jax.tree.map(
      lambda p, v, after: np.testing.assert_allclose(after, p - rate * v, rtol=1e-5, atol=1e-7),
      start,
      momentum(states[name]),
      states[name].params,
    )


def test_the_learning_rate_drops_within_the_compiled_step(assemble, batches):
  """The drop's factor is 0, so nothing moves after it."""
  optimizer = Optimizer(3, (2,), 0.0, 0.9)
  cohort = assemble(member('scratch'), optimizer=optimizer)
  states = cohort.init(batches[0])
  moved = []
  for step in range(4):
    before = jax.tree.map(np.array, states['scratch-0'].params)
    states = cohort.step(states, batches[step], jnp.int32(step))
    leaves = zip(jax.tree.leaves(before), jax.tree.leaves(states['scratch-0'].params))
    moved.append(any(np.any(a != b) for a, b in leaves))
  assert moved == [True, True, False, False]


def test_the_terms_of_the_loss_and_their_total_are_summed(assemble, batches, train):
  cohort = assemble(member('kd_1_1'))
  one = train(cohort, range(1))['kd_1_1-0'].loss_sums
  three = train(cohort, range(3))['kd_1_1-0'].loss_sums
  assert three.keys() == {'cross_entropy', 'soft_target', 'loss'}
  for sums in (one, three):
    np.testing.assert_allclose(sums['loss'], sums['cross_entropy'] + sums['soft_target'], rtol=1e-5)
  assert all(three[name] > one[name] > 0 for name in one)


def test_the_first_step_without_a_finite_loss_is_kept(assemble, batches, train):
  cohort = assemble(member('scratch'), member('kd_1_1'))
  states = train(cohort, range(2))
  assert [int(state.bad_step) for state in states.values()] == [-1, -1]
  broken = batches[0].replace(image=batches[0].image.at[0, 0, 0, 0].set(jnp.nan))
  for step in (0, 1):  # Step 0 is kept too, and not taken for none.
    states['scratch-0'] = cohort.update(
      'scratch-0', states['scratch-0'], broken, None, jnp.int32(step)
    )
  states = train(cohort, [2, 3], states)
  assert {name: int(state.bad_step) for name, state in states.items()} == {
    'scratch-0': 0,
    'kd_1_1-0': -1,
  }


def test_a_members_name_is_its_label_and_trial():
  assert member('kd_1_1', 3, label='KD').name == 'KD-3'
  assert member('scratch', -1, label='teacher').name == 'teacher'


def test_seed_and_trial_determine_the_initial_weights(assemble, train):
  def kernel(trial, seed):
    cohort = assemble(member('scratch', trial), seed=seed)
    [state] = train(cohort, []).values()
    return np.asarray(state.params['student']['convolutions_0']['conv']['kernel'])

  first = kernel(0, seed=0)
  np.testing.assert_array_equal(first, kernel(0, seed=0))
  others = [kernel(1, seed=0), kernel(-1, seed=0), kernel(0, seed=1)]
  assert not any(np.any(first == other) for other in others)


def test_no_two_keys_are_equal(assemble):
  """Of the teacher, of trials and of seeds."""
  cohorts = [
    assemble(*(member('scratch', trial) for trial in range(-1, 8)), seed=seed) for seed in (0, 1)
  ]
  keys = [jax.random.key_data(one.key).tobytes() for each in cohorts for one in each.learners]
  assert len(set(keys)) == len(keys) == 18


def test_the_teacher_is_kept_only_where_a_member_needs_it(assemble, batches, teacher):
  assert assemble(member('scratch'), member('scratch', 1)).teacher is None
  assert assemble(member('scratch'), member('kd_1_1')).teacher is teacher
  assert observe(None, batches[0]) is None


def test_the_teacher_is_observed_in_inference_mode(batches, teacher):
  close = {'rtol': 1e-4, 'atol': 1e-5}
  outputs = observe(teacher, batches[0])
  assert outputs.network is teacher
  single = observe(teacher, jax.tree.map(lambda leaf: leaf[:1], batches[0]))
  # The outputs for an image do not depend on the other images.
  np.testing.assert_allclose(outputs.logits[:1], single.logits, **close)
  np.testing.assert_allclose(outputs.features.pooled[:1], single.features.pooled, **close)
  np.testing.assert_allclose(outputs.logits, teacher.classify(outputs.features.pooled), **close)


@pytest.mark.parametrize(
  'wrong, message',
  [
    (member('pidk'), "unknown method 'pidk'"),
    (
      member('kd_1_1', wieght=2.0),
      "unknown hyper-parameter of kd_1_1 'wieght'; did you mean 'weight'",
    ),
    (member('kd_1_1', student='resnet9'), "unknown model 'resnet9'"),
  ],
)
def test_unknown_names_are_refused(wrong, message, assemble):
  with pytest.raises(UserError, match=message):
    assemble(wrong)


# --- the arguments and the collections of a method


class Point(nn.Module):
  """A student of one parameter."""

  @nn.compact
  def __call__(self):
    return self.param('x', nn.initializers.ones, ())


class Probe(Method):
  """Returns its arguments as terms of the loss, and counts its steps."""

  needs_teacher = False

  def setup(self):
    self.count = self.variable('bank', 'count', lambda: jnp.float32(0))

  def loss(self, batch, teacher, *, progress):
    if not self.is_initializing():
      self.count.value += 1
    noise = jax.random.normal(self.make_rng('method'))
    return {
      'progress': progress,
      'noise': noise,
      'move': batch.image[:, 0, 0, 0] * self.student(),
    }


@pytest.fixture
def probe(dataset, batches):
  """Return a function that runs some steps of two probes, with the last step's terms as sums."""
  cohort = Cohort(
    teacher=None,
    names=('a', 'b'),
    learners=tuple(
      Learner.create(
        Probe(Point(), None, dataset),
        Optimizer(4, (), 0.1, 0.9),
        jax.random.key(i),
        OptimizerHparams(0.1, 0),
      )
      for i in range(2)
    ),
  )

  def run(*steps):
    states = cohort.init(batches[0])
    for step in steps:
      states = {
        name: state.replace(loss_sums=jax.tree.map(jnp.zeros_like, state.loss_sums))
        for name, state in states.items()
      }
      states = cohort.step(states, batches[0], jnp.int32(step))
    return states

  return run


def test_a_method_deploys_with_its_numbers(assemble, batches):
  chosen = Member('own', 'tests.plain:Plain', 'tests.methods.own:Scaled', {}, OptimizerHparams(), 0)
  cohort = assemble(chosen)
  [state] = cohort.init(batches[0]).values()
  shapes = cohort.deployed('own-0', state)
  found = cohort.network('own-0', state.variables)
  plain = base.subtree(state.variables, 'student')
  jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, 2 * b), found.variables, plain)
  assert jax.tree.structure(shapes) == jax.tree.structure(found)


def test_a_methods_progress_is_the_share_of_the_training(probe):
  assert [float(probe(step)['a'].loss_sums['progress']) for step in (0, 1, 3)] == [0.25, 0.5, 1]


def test_member_and_step_determine_a_methods_random_numbers(probe):
  drawn = [float(probe(step)[name].loss_sums['noise']) for step in (0, 1, 2) for name in 'ab']
  assert len(set(drawn)) == 6
  assert float(probe(0, 1, 2)['a'].loss_sums['noise']) == drawn[4]


def test_collections_are_carried_from_step_to_step(probe):
  states = probe(0, 1, 2)
  assert float(states['a'].collections['bank']['count']) == 3


def test_terms_are_averaged_over_examples(probe, batches):
  mean = float(np.mean(batches[0].image[:, 0, 0, 0]))
  state = probe(0)['a']
  np.testing.assert_allclose(state.loss_sums['move'], mean, rtol=1e-5)
  np.testing.assert_allclose(state.params['student']['x'], 1 - 0.1 * mean, rtol=1e-5)
