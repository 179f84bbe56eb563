"""The contract of a method, for every name in `methods.names()`."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from pidkd_jax import methods
from pidkd_jax.core.errors import UserError
from pidkd_jax.methods import mlkd
from pidkd_jax.methods.base import Method, hyperparameters
from pidkd_jax.training.checkpoint import Checkpoints
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams
from pidkd_jax.training.step import observe

# Each has the program of another one with a number or a switch of its own: the standardised logits
# are those of `kd_01_09_standardized`, and the projectors are those of `pidkd`.
ALIKE = (
  'dkd_standardized',
  'mlkd_standardized',
  'simkd',
  'simkd_published',
  'pidkd_published',
)
NAMES = [name for name in methods.names() if name not in ALIKE]
# Every method with its defaults, and variants that compile to other programs.
VARIANTS = {name: (name, {}) for name in NAMES} | {
  'learned': ('pidkd', {'integration': 'learned'}),
  'separate': ('pidkd', {'separate': True}),
}
# The parts of the student that other layers are folded into.
FOLDED = {'norm': ('classifier',)}
# Without weight decay only the loss moves parameters.
NUMBERS = OptimizerHparams(learning_rate=0.05, weight_decay=0.0)


def member(label, trial=0):
  method, chosen = VARIANTS[label]
  return Member(label, 'tests.plain:Plain', method, chosen, NUMBERS, trial)


def bare(name):
  """Return a method with its defaults and without student, target and dataset."""
  return methods.create(name)(student=None, target=None, dataset=None)


@pytest.fixture(scope='module', autouse=True)
def mirrored():
  """The strong view of MLKD is cheap to compile here: the negative of the weak one."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(mlkd, 'strong_view', lambda key, images, *_, **__: -images)
    yield


@pytest.fixture(scope='module')
def cohort(assemble):
  return assemble(*(member(label) for label in VARIANTS))


@pytest.fixture(scope='module')
def others(assemble):
  """Return the same methods in another trial."""
  return assemble(*(member(label, trial=1) for label in VARIANTS))


@pytest.fixture(scope='module')
def initial(cohort, train):
  return train(cohort, [])


@pytest.fixture(scope='module')
def stepped(cohort, initial, train):
  """The states after one step."""
  return train(cohort, [0], initial)


@pytest.fixture(scope='module')
def trained(cohort, stepped, train):
  """The states after three steps."""
  return train(cohort, [1, 2], stepped)


@functools.partial(jax.jit, static_argnums=0)
def predict(model, variables, image):
  """Return logits; equal models share one program."""
  return model.apply(variables, image)


@functools.cache
def shapes_of(model):
  return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((4, 8, 8, 3)))


def assert_same(tree, other):
  jax.tree.map(np.testing.assert_array_equal, tree, other)


def test_every_name_makes_a_method_with_a_loss():
  for name in methods.names():
    made = bare(name)
    assert isinstance(made, Method)
    assert made.loss.__func__ is not Method.loss


@pytest.mark.parametrize('label', VARIANTS)
def test_terms_are_scalars_or_one_number_for_each_example(label, cohort, initial, batches):
  method = cohort.by_name[f'{label}-0'].bound_method()
  loss = functools.partial(method.apply, method='loss', mutable=True)
  seen = jax.eval_shape(observe, cohort.teacher, batches[0])
  rngs = {'method': jax.random.key(1)}
  variables = initial[f'{label}-0'].variables
  terms, _ = jax.eval_shape(loss, variables, batches[0], seen, progress=jnp.float32(1), rngs=rngs)
  assert terms and 'loss' not in terms, "'loss' is the sum's name"
  for name, term in terms.items():
    assert isinstance(name, str)
    assert term.shape in ((), (4,)) and term.dtype == jnp.float32


@pytest.mark.parametrize('label', VARIANTS)
def test_a_gradient_reaches_every_parameter(label, stepped):
  # After one step without decay the momentum is the gradient.
  state = stepped[f'{label}-0']
  [gradient] = (part.trace for part in state.opt_state if isinstance(part, optax.TraceState))
  flat = traverse_util.flatten_dict(jax.device_get(gradient), sep='/')
  assert flat.keys() == traverse_util.flatten_dict(state.params, sep='/').keys()
  assert [path for path, leaf in flat.items() if not np.any(leaf)] == []
  assert all(np.all(np.isfinite(leaf)) for leaf in flat.values())


@pytest.mark.parametrize('label', VARIANTS)
def test_batch_norm_statistics_follow_the_batches(label, initial, trained):
  before, after = (
    traverse_util.flatten_dict(jax.device_get(states[f'{label}-0'].collections['batch_stats']))
    for states in (initial, trained)
  )
  assert [path for path in before if not np.any(before[path] != after[path])] == []


def test_the_student_lies_in_one_place_and_starts_the_same_in_every_method(initial):
  first = initial[f'{next(iter(VARIANTS))}-0'].params['student']
  for state in initial.values():
    student = traverse_util.flatten_dict(state.params['student'])
    other = traverse_util.flatten_dict(first)
    # A method that distils from the student's map has no use for its classifier.
    both = student.keys() & other.keys()
    assert {path[0] for path in student.keys() ^ other.keys()} <= {'classifier'}
    assert_same({path: student[path] for path in both}, {path: other[path] for path in both})


@pytest.mark.parametrize('label', VARIANTS)
def test_another_trial_starts_from_other_weights(label, others, batches, initial):
  [other] = others.subset([f'{label}-1']).init(batches[0]).values()
  flat = traverse_util.flatten_dict(jax.device_get(other.params))
  before = traverse_util.flatten_dict(jax.device_get(initial[f'{label}-0'].params))
  kernels = [path for path in flat if path[-1] == 'kernel']
  assert kernels and not any(np.any(flat[path] == before[path]) for path in kernels)


def test_the_teacher_is_bit_identical_after_the_training(cohort, trained, teacher, fill):
  shapes = jax.eval_shape(lambda: teacher.variables)
  assert_same(cohort.teacher.variables, fill(shapes))


# Of those that draw random numbers or carry a memory; others are in tests/training/test_cohort.py.
@pytest.mark.parametrize('label', ['crd', 'mlkd'])
def test_a_member_trains_the_same_alone_and_in_a_cohort(label, trained, assemble, train):
  assert_same(train(assemble(member(label)), range(3))[f'{label}-0'], trained[f'{label}-0'])


def test_a_restored_cohort_trains_on_bit_identically(cohort, initial, train, tmp_path):
  """With projectors, a memory, and random numbers."""
  cohort = cohort.subset(['pidkd-0', 'crd-0', 'mlkd-0'])
  two = train(cohort, range(2), {name: initial[name] for name in cohort.names})
  checkpoints = Checkpoints(tmp_path)
  checkpoints.save(2, two, {})
  checkpoints.wait()
  checkpoints.close()
  checkpoints = Checkpoints(tmp_path)
  step, restored, _ = checkpoints.restore(jax.eval_shape(lambda: two))
  checkpoints.close()
  assert_same(restored, two)
  assert_same(train(cohort, range(step, 5), restored), train(cohort, range(2, 5), two))


@pytest.mark.parametrize('label', VARIANTS)
def test_the_deployed_network_is_like_any_other(label, cohort, trained, batches):
  network = cohort.network(f'{label}-0', trained[f'{label}-0'].variables)
  expected = shapes_of(network.model)
  assert jax.tree.structure(network.variables) == jax.tree.structure(expected)
  assert jax.tree.map(jnp.shape, network.variables) == jax.tree.map(jnp.shape, expected)
  logits = predict(network.model, network.variables, batches[0].image)
  assert logits.shape == (4, 3) and np.all(np.isfinite(logits))
  # It keeps the student's trained variables, but for the classifier that takes up other layers.
  folded = FOLDED.get(label, ())
  held = {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(network.variables)}
  student = {
    key: {part: leaves for part, leaves in tree['student'].items() if part not in folded}
    for key, tree in trained[f'{label}-0'].variables.items()
    if 'student' in tree
  }
  assert held >= {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(student)}


@pytest.mark.parametrize('label', VARIANTS)
def test_shapes_are_enough_for_the_deployed_network(label, cohort, initial):
  variables = initial[f'{label}-0'].variables
  method = cohort.by_name[f'{label}-0'].method
  traced = jax.eval_shape(lambda v, t: method.deployed(v, t), variables, cohort.teacher)
  expected = cohort.network(f'{label}-0', variables)
  assert traced.model == expected.model
  assert jax.tree.map(jnp.shape, traced.variables) == jax.tree.map(jnp.shape, expected.variables)


@pytest.mark.parametrize('name', [name for name in NAMES if not bare(name).needs_teacher])
def test_a_method_that_needs_no_teacher_ignores_it(name, cohort, initial, stepped, batches):
  state = jax.tree.map(jnp.array, initial[f'{name}-0'])  # A step donates it.
  assert_same(cohort.update(f'{name}-0', state, batches[0], None, 0), stepped[f'{name}-0'])


@pytest.mark.parametrize('name', NAMES)
def test_a_method_says_whether_it_needs_labels(name, cohort, initial, stepped, batches):
  """The terms of a step change with the labels alone."""
  state = jax.tree.map(jnp.array, initial[f'{name}-0'])  # A step donates it.
  others = batches[0].replace(label=jnp.roll(batches[0].label, 1))
  relabelled = cohort.subset([f'{name}-0']).step({f'{name}-0': state}, others, jnp.int32(0))
  same = jax.tree.map(
    np.array_equal, relabelled[f'{name}-0'].loss_sums, stepped[f'{name}-0'].loss_sums
  )
  assert all(same.values()) != bare(name).needs_labels


@pytest.mark.parametrize('name', methods.names())
def test_hyperparameters_have_defaults_of_their_annotated_types(name):
  """`Cohort` traces those annotated `float`, so no Python branch may depend on them."""
  for field in hyperparameters(type(bare(name))).values():
    assert field.type in (int, float, str, bool)
    assert type(field.default) is field.type


# From the study `scale`.
SCALE = {'weight': 30.0, 'normalize': True, 'warmup': 0.0, 'projector_rate': 1.0}
# From SimKD's scripts.
HARNESS = {'label_weight': 1.0, 'divergence_weight': 1.0, 'temperature': 4.0}
DEFAULTS = {
  'scratch': {},
  # SimKD's scripts; RepDistiller's and mdistiller's where SimKD has no such method.
  'fitnet': HARNESS | {'weight': 100.0, 'hint_layer': 1},
  'at': HARNESS | {'weight': 1000.0},
  'sp': HARNESS | {'weight': 3000.0},
  'vid': HARNESS | {'weight': 1.0, 'initial_variance': 5.0},
  'srrl': HARNESS | {'weight': 1.0, 'feature_weight': 1.0},
  'rkd': HARNESS | {'distance_weight': 25.0, 'angle_weight': 50.0},
  'pkt': HARNESS | {'weight': 30000.0},
  'crd': HARNESS
  | {
    'weight': 0.8,
    'dimension': 128,
    'num_negatives': 16384,
    'contrast_temperature': 0.07,
    'momentum': 0.5,
  },
  'semckd': HARNESS | {'weight': 400.0, 'attention_temperature': 1.0},
  # Authors' scripts, without KD beside it.
  'reviewkd': HARNESS | {'divergence_weight': 0.0, 'weight': 5.0, 'warmup': 20 / 240, 'width': 512},
  'pefd': HARNESS | {'divergence_weight': 0.0, 'weight': 25.0, 'num_projectors': 3},
  # SimKD's scripts, RepDistiller's, mdistiller's.
  'kd_1_1': {'weight': 1.0, 'label_weight': 1.0, 'temperature': 4.0, 'standardize': False},
  'kd_01_09': {'weight': 0.9, 'label_weight': 0.1, 'temperature': 4.0, 'standardize': False},
  'kd_01_09_standardized': {
    'weight': 9.0,
    'label_weight': 0.1,
    'temperature': 2.0,
    'standardize': True,
  },
  'dkd': {
    'alpha': 1.0,
    'beta': 8.0,
    'label_weight': 1.0,
    'temperature': 4.0,
    'warmup': 20 / 240,
    'standardize': False,
  },
  'dkd_standardized': {
    'alpha': 9.0,
    'beta': 72.0,
    'label_weight': 1.0,
    'temperature': 2.0,
    'warmup': 20 / 240,
    'standardize': True,
  },
  'dist': {'weight': 2.0, 'class_weight': 2.0, 'label_weight': 1.0, 'temperature': 4.0},
  'srd': HARNESS | {'temperature': 1.0, 'weight': 2.0},
  'vkd': HARNESS | {'temperature': 1.0, 'weight': 1.0},
  'thkd': HARNESS | {'weight': 0.02, 'divergence_weight': 1.5},
  'wttm': {'weight': 4.0, 'exponent': 0.2, 'label_weight': 1.0},
  'catkd': HARNESS
  | {'divergence_weight': 0.0, 'weight': 15.0, 'resolution': 2, 'normalize': False},
  'ctkd': {
    'weight': 0.9,
    'label_weight': 0.1,
    'lowest': 1.0,
    'span': 20.0,
    'warmup': 10 / 240,
  },
  'mlkd': {'weight': 0.9, 'label_weight': 0.1, 'temperature': 4.0, 'standardize': False},
  'mlkd_standardized': {
    'weight': 9.0,
    'label_weight': 0.1,
    'temperature': 2.0,
    'standardize': True,
  },
  'norm': {
    'weight': 1.0,
    'num_groups': 8,
    'label_weight': 0.1,
    'divergence_weight': 0.0,
    'temperature': 4.0,
    'scale': 2.5,
  },
  'simkd': {'factor': 2} | SCALE,
  'simkd_published': {'factor': 2},
  'pidkd_published': {
    'num_projectors': 3,
    'factor': 2,
    'integration': 'mean',
    'separate': False,
  },
  'linear': {
    'weight': 30.0,
    'divergence_weight': 1.0,
    'temperature': 4.0,
    'student_rate': 1.0,
  },
  'wide': {'num_projectors': 3, 'factor': 2} | SCALE,
  # From a study of labels beside the map.
  'pidkd_labels': {
    'num_projectors': 3,
    'factor': 2,
    'integration': 'mean',
    'separate': False,
    'label_weight': 10.0,
  }
  | SCALE,
  'pidkd': {'num_projectors': 3, 'factor': 2, 'integration': 'mean', 'separate': False} | SCALE,
}


@pytest.mark.parametrize('name', DEFAULTS)
def test_published_defaults(name):
  assert methods.defaults(name) == DEFAULTS[name]


@pytest.mark.parametrize('name', methods.names())
def test_defaults_are_the_fields_of_a_method_without_arguments(name):
  method = bare(name)
  defaults = methods.defaults(name)
  assert {key: getattr(method, key) for key in defaults} == defaults
  assert methods.create(name, **defaults)(None, None, None) == method


def test_a_spec_holds_the_choice():
  spec = methods.method('pidkd', num_projectors=4)
  assert spec == methods.MethodSpec('pidkd', {'num_projectors': 4})
  assert (spec.name, spec.hyperparameters) == ('pidkd', {'num_projectors': 4})
  assert methods.method('scratch') == methods.MethodSpec('scratch')
  with pytest.raises(dataclasses.FrozenInstanceError):
    spec.name = 'simkd'


@pytest.mark.parametrize('number', [np.int64(4), jnp.int32(4)])
def test_a_spec_holds_numbers_that_a_card_can_hold(number):
  whole = methods.method('pidkd', num_projectors=number)
  assert whole == methods.method('pidkd', num_projectors=4)
  assert json.dumps(whole.hyperparameters) == '{"num_projectors": 4}'
  broken = methods.method('kd_1_1', temperature=number, standardize=np.bool_(True))
  assert json.dumps(broken.hyperparameters) == '{"temperature": 4.0, "standardize": true}'


@pytest.mark.parametrize('choose', [methods.create, methods.method])
@pytest.mark.parametrize(
  ('name', 'hyperparameters', 'message'),
  [
    ('pidk', {}, "unknown method 'pidk'; did you mean 'pidkd'"),
    ('kd_1_1', {'temprature': 2.0}, "of kd_1_1 'temprature'; did you mean 'temperature'"),
    # SimKD has one projector by definition.
    ('simkd', {'num_projectors': 2}, "unknown hyper-parameter of simkd 'num_projectors'"),
    ('pidkd', {'num_projectors': 2.5}, 'num_projectors of pidkd is 2.5; int is needed'),
    ('pidkd', {'num_projectors': True}, 'num_projectors of pidkd is True; int is needed'),
    ('kd_1_1', {'temperature': float('nan')}, 'temperature of kd_1_1 is nan; a finite number is'),
    ('kd_1_1', {'temperature': float('inf')}, 'temperature of kd_1_1 is inf; a finite number is'),
  ],
)
def test_a_mistake_is_answered_at_once(choose, name, hyperparameters, message):
  with pytest.raises(UserError, match=message):
    choose(name, **hyperparameters)


def test_defaults_of_an_unknown_name_are_answered_with_the_nearest():
  with pytest.raises(UserError, match="unknown method 'scrach'; did you mean 'scratch'"):
    methods.defaults('scrach')
