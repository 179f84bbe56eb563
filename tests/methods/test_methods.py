"""What holds for every method of `methods.names()`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from pidkd_jax import methods, models
from pidkd_jax.core.errors import UserError
from pidkd_jax.methods.base import Method, hyperparameters
from pidkd_jax.training.checkpoint import Checkpoints
from pidkd_jax.training.cohort import Member, observe
from pidkd_jax.training.recipe import OptimizerHparams

# Every method with its defaults, and variants that are other programs.
VARIANTS = {name: (name, {}) for name in methods.names()} | {
  'learned': ('pidkd', {'integration': 'learned'}),
  'separate': ('pidkd', {'separate': True}),
}
# No weight decay: what moves is moved by the loss.
NUMBERS = OptimizerHparams(learning_rate=0.05, weight_decay=0.0)


def member(label, trial=0):
  method, chosen = VARIANTS[label]
  return Member(label, 'plain:Plain', method, chosen, NUMBERS, trial)


def bare(name):
  """A method with its defaults and nothing to work on."""
  return methods.create(name)(student=None, target=None, dataset=None)


@pytest.fixture(scope='module')
def cohort(assemble):
  return assemble(*(member(label) for label in VARIANTS))


@pytest.fixture(scope='module')
def initial(cohort, train):
  return train(cohort, [])


@pytest.fixture(scope='module')
def trained(cohort, initial, train):
  """The states after three steps."""
  return train(cohort, range(3), initial)


@pytest.fixture(scope='module')
def make(dataset, teacher):
  """A function that makes a method, ready to be called."""

  def make(name, **chosen):
    target = jax.eval_shape(teacher.encode, jnp.zeros((4, 8, 8, 3)))
    student = models.create('plain:Plain', num_classes=dataset.num_classes)
    return methods.create(name, **chosen)(student=student, target=target, dataset=dataset)

  return make


def assert_same(tree, other):
  jax.tree.map(np.testing.assert_array_equal, tree, other)


def test_each_file_in_methods_offers_a_method():
  for name in methods.names():
    made = bare(name)
    assert isinstance(made, Method)
    assert made.loss.__func__ is not Method.loss


@pytest.mark.parametrize('label', VARIANTS)
def test_terms_are_one_number_or_one_for_each_example(label, make, batches, teacher):
  method, chosen = VARIANTS[label]
  init = functools.partial(make(method, **chosen).init_with_output, method='loss')
  seen = jax.eval_shape(observe, teacher, batches[0])
  rngs = {'params': jax.random.key(0), 'method': jax.random.key(1)}
  terms, _ = jax.eval_shape(init, rngs, batches[0], seen, progress=jnp.float32(1))
  assert terms and 'loss' not in terms, "'loss' is the sum's name"
  for name, term in terms.items():
    assert isinstance(name, str)
    assert term.shape in ((), (4,)) and term.dtype == jnp.float32


@pytest.mark.parametrize('label', VARIANTS)
def test_a_gradient_reaches_every_parameter(label, cohort, initial, train):
  # After one step without decay the momentum is the gradient.
  state = train(cohort, [0], initial)[f'{label}-0']
  [gradient] = (part.trace for part in state.momentum if isinstance(part, optax.TraceState))
  flat = traverse_util.flatten_dict(gradient, sep='/')
  assert flat.keys() == traverse_util.flatten_dict(state.params, sep='/').keys()
  assert [path for path, leaf in flat.items() if not np.any(leaf)] == []
  assert all(np.all(np.isfinite(leaf)) for leaf in flat.values())


@pytest.mark.parametrize('label', VARIANTS)
def test_batch_norm_statistics_follow_the_batches(label, initial, trained):
  before = traverse_util.flatten_dict(initial[f'{label}-0'].collections['batch_stats'], sep='/')
  after = traverse_util.flatten_dict(trained[f'{label}-0'].collections['batch_stats'], sep='/')
  assert [path for path in before if not np.any(before[path] != after[path])] == []


def test_the_student_lies_in_one_place_and_starts_the_same_in_every_method(initial):
  first = initial[f'{next(iter(VARIANTS))}-0'].params['student']
  for state in initial.values():
    shared = traverse_util.flatten_dict(state.params['student'])
    own = traverse_util.flatten_dict(first)
    # A method that distils from the student's map has no use for its classifier.
    both = shared.keys() & own.keys()
    assert {path[0] for path in shared.keys() ^ own.keys()} <= {'classifier'}
    assert_same({path: shared[path] for path in both}, {path: own[path] for path in both})


@pytest.mark.parametrize('label', VARIANTS)
def test_another_trial_starts_from_other_weights(label, assemble, train, initial):
  other = train(assemble(member(label, trial=1)), [])[f'{label}-1']
  flat = traverse_util.flatten_dict(other.params)
  before = traverse_util.flatten_dict(initial[f'{label}-0'].params)
  kernels = [path for path in flat if path[-1] == 'kernel']
  assert kernels and not any(np.any(flat[path] == before[path]) for path in kernels)


def test_the_teacher_is_bit_identical_after_ten_steps(cohort, initial, train, teacher):
  before = jax.tree.map(np.array, teacher.variables)
  train(cohort, range(10), initial)
  assert_same(cohort.teacher.variables, before)


@pytest.mark.parametrize('label', VARIANTS)
def test_it_is_the_same_alone_and_in_company(label, trained, assemble, train):
  assert_same(train(assemble(member(label)), range(3))[f'{label}-0'], trained[f'{label}-0'])


def test_restored_it_goes_on_as_if_it_had_not_stopped(cohort, initial, train, tmp_path):
  two = train(cohort, range(2), initial)
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
def test_what_is_deployed_is_a_network_like_any_other(label, cohort, trained, batches):
  network = cohort.network(f'{label}-0', trained[f'{label}-0'].variables)
  expected = jax.eval_shape(network.model.init, jax.random.key(0), batches[0].image)
  assert jax.tree.structure(network.variables) == jax.tree.structure(expected)
  assert jax.tree.map(jnp.shape, network.variables) == jax.tree.map(jnp.shape, expected)
  logits = jax.jit(network.model.apply)(network.variables, batches[0].image)
  assert logits.shape == (4, 3) and np.all(np.isfinite(logits))
  # Of the student it keeps what was trained.
  held = {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(network.variables)}
  student = {
    key: tree['student']
    for key, tree in trained[f'{label}-0'].variables.items()
    if 'student' in tree
  }
  assert held >= {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(student)}


@pytest.mark.parametrize('label', VARIANTS)
def test_shapes_will_do_for_what_is_deployed(label, cohort, initial):
  variables = initial[f'{label}-0'].variables
  method = dict(cohort.methods)[f'{label}-0']
  found = jax.eval_shape(lambda v, t: method.deployed(v, t), variables, cohort.teacher)
  expected = cohort.network(f'{label}-0', variables)
  assert found.model == expected.model
  assert jax.tree.map(jnp.shape, found.variables) == jax.tree.map(jnp.shape, expected.variables)


@pytest.mark.parametrize('name', [name for name in methods.names() if not bare(name).needs_teacher])
def test_what_needs_no_teacher_ignores_it(name, make, batches, teacher, initial):
  apply = jax.jit(functools.partial(make(name).apply, method='loss', mutable=['batch_stats']))
  variables = initial[f'{name}-0'].variables
  seen = observe(teacher, batches[1])
  rngs = {'method': jax.random.key(0)}
  alone = apply(variables, batches[1], None, progress=jnp.float32(1), rngs=rngs)
  taught = apply(variables, batches[1], seen, progress=jnp.float32(1), rngs=rngs)
  assert_same(alone, taught)


@pytest.mark.parametrize('name', methods.names())
def test_numbers_are_traced_and_the_rest_is_not(name):
  """`Cohort` takes the annotation `float` as a promise that no Python branch depends on it."""
  for field in hyperparameters(type(bare(name))).values():
    assert field.type in (int, float, str, bool)
    assert type(field.default) is field.type


# As the study `scale` has it.
SCALE = {'weight': 30.0, 'normalize': True, 'warmup': 0.0, 'projector_rate': 1.0}
# As SimKD's scripts have it.
HARNESS = {'label_weight': 1.0, 'divergence_weight': 1.0, 'temperature': 4.0}
DEFAULTS = {
  'scratch': {},
  # SimKD's scripts; RepDistiller's and mdistiller's where SimKD has no such method.
  'fitnet': HARNESS | {'weight': 100.0, 'hint_layer': 1},
  'at': HARNESS | {'weight': 1000.0},
  'sp': HARNESS | {'weight': 3000.0},
  'vid': HARNESS | {'weight': 1.0, 'initial_variance': 5.0},
  'srrl': HARNESS | {'weight': 1.0},
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
  'pidkd': {'num_projectors': 3, 'factor': 2, 'integration': 'mean', 'separate': False} | SCALE,
}


@pytest.mark.parametrize('name', DEFAULTS)
def test_published_defaults(name):
  assert methods.defaults(name) == DEFAULTS[name]


@pytest.mark.parametrize('name', methods.names())
def test_defaults_are_what_an_untouched_method_has(name):
  made = bare(name)
  found = methods.defaults(name)
  assert {key: getattr(made, key) for key in found} == found
  assert methods.create(name, **found)(None, None, None) == made


def test_unknown_names_are_answered_with_the_nearest():
  with pytest.raises(UserError, match="unknown method 'pidk'; did you mean 'pidkd'"):
    methods.create('pidk')
  with pytest.raises(UserError, match="unknown method 'scrach'; did you mean 'scratch'"):
    methods.defaults('scrach')
  with pytest.raises(UserError, match="of kd_1_1 'temprature'; did you mean 'temperature'"):
    methods.create('kd_1_1', temprature=2.0)
  # SimKD is one projector by definition.
  with pytest.raises(UserError, match="unknown hyper-parameter of simkd 'num_projectors'"):
    methods.create('simkd', num_projectors=2)
