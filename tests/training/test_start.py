"""Students that begin with the weights of a bundle's student."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.core.errors import UserError
from pidkd_jax.models import distilled
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams

IMAGE = (8, 8, 3)
MEMBERS = tuple(
  Member(label, 'tests.plain:Plain', label, {}, OptimizerHparams(0.05, 0.0), 0)
  for label in ('linear', 'scratch')
)


@pytest.fixture(scope='module')
def bundle(teacher, fill):
  """Return a distilled network, as a bundle holds it."""
  model = Distilled(
    num_classes=3,
    student=models.create('tests.plain:Plain', num_classes=3),
    teacher=teacher.model,
    num_projectors=3,
    hidden=4,
    integration='mean',
    target=(2, 2, 12),
    target_rectified=True,
  )
  return Network(
    fill(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *IMAGE))), 1), model
  )


@pytest.fixture(scope='module')
def assemble(dataset, bundle):
  """Return a function that makes a cohort whose teacher is the bundle."""

  def assemble(start, members=MEMBERS):
    return cohorts.assemble(
      members,
      teacher=bundle,
      dataset=dataset,
      image=jax.ShapeDtypeStruct((4, *IMAGE), jnp.float32),
      optimizer=Optimizer(3, (6, 9), 0.1, 0.9),
      key=jax.random.key(0),
      start=start,
    )

  return assemble


@pytest.fixture(scope='module')
def cohort(assemble, bundle):
  return assemble(distilled.extract_student(bundle))


@pytest.fixture(scope='module')
def begun(cohort, train):
  return train(cohort, [])


def flat(tree):
  return traverse_util.flatten_dict(tree)


def test_all_members_begin_with_the_bundles_student(cohort, begun, bundle, batches):
  start = distilled.extract_student(bundle)
  expected = flat(bundle.variables)
  for state in begun.values():
    own = flat(state.variables)
    shared = [path for path in own if path[1] == 'student' and path in expected]
    assert len(shared) == len(flat(start.variables))
    for path in shared:
      np.testing.assert_array_equal(own[path], expected[path])
  # So the bundle's projectors would read the same maps of the first batch.
  stages = jax.jit(lambda variables, image: start.model.apply(variables, image, method='stages'))
  deployed = cohort.network('linear-0', begun['linear-0'].variables)
  held = {name: {'student': tree} for name, tree in deployed.variables.items()}
  kept = {path: value for path, value in flat(held).items() if path in expected}
  student = {path[:1] + path[2:]: value for path, value in kept.items()}
  image = batches[0].image
  for ours, theirs in zip(
    stages(traverse_util.unflatten_dict(student), image),
    stages(start.variables, image),
    strict=True,
  ):
    np.testing.assert_array_equal(ours, theirs)
    assert np.any(theirs)


def test_variables_that_the_bundle_lacks_are_random_as_without_it(assemble, begun, bundle, train):
  drawn = train(assemble(None), [])
  held = {path for path in flat(bundle.variables) if path[1] == 'student'}
  for name, state in begun.items():
    own, other = flat(state.variables), flat(drawn[name].variables)
    assert own.keys() == other.keys()
    for path in own.keys() - held:
      np.testing.assert_array_equal(own[path], other[path])
  # A plain student has a classifier, a distilled one has none.
  classifier = {path for path in flat(begun['scratch-0'].params) if 'classifier' in path}
  assert classifier and not {('params', *path) for path in classifier} & held


def test_training_does_not_change_the_start(cohort, begun, train):
  before = jax.tree.map(np.array, cohort.start)
  states = train(cohort.subset(['linear-0']), range(2), {'linear-0': begun['linear-0']})
  jax.tree.map(np.testing.assert_array_equal, cohort.start, before)
  moved = flat(states['linear-0'].params)['student', 'convolutions_0', 'conv', 'kernel']
  assert np.any(moved != before['params']['convolutions_0']['conv']['kernel'])


def test_a_plain_network_is_its_own_student(teacher):
  assert distilled.extract_student(teacher) is teacher


def test_another_student_is_refused(assemble, teacher):
  with pytest.raises(UserError, match='linear trains tests.plain:Plain, which is not the ResNet'):
    assemble(teacher)
