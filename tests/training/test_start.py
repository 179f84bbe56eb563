"""Students that begin with the weights of a bundle's student."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import distilled, models
from pidkd_jax.distilled import Distilled
from pidkd_jax.errors import UserError
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.cohort import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import Numbers
from pidkd_jax.types import Network

IMAGE = (8, 8, 3)
MEMBERS = tuple(
  Member(label, 'plain:Plain', label, {}, Numbers(0.05, 0.0), 0)
  for label in ('simkd', 'linear', 'scratch')
)


@pytest.fixture(scope='module')
def bundle(teacher, fill):
  """A distilled network, as a bundle holds it."""
  model = Distilled(
    num_classes=3,
    student=models.create('plain:Plain', num_classes=3),
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
  """A function that makes a cohort whose teacher is the bundle."""

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


def flat(tree):
  return traverse_util.flatten_dict(tree)


def test_all_begin_exactly_as_the_bundles_student(assemble, bundle, train, batches):
  start = distilled.student(bundle)
  cohort = assemble(start)
  states = train(cohort, [])
  expected = flat(bundle.variables)
  for state in states.values():
    own = flat(state.variables)
    shared = [path for path in own if path[1] == 'student' and path in expected]
    assert len(shared) == len(flat(start.variables))
    for path in shared:
      np.testing.assert_array_equal(own[path], expected[path])
  # So what the projectors read of the first batch is what those of the bundle read.
  image = batches[0].image
  wanted = start.model.apply(start.variables, image, method='stages')
  deployed = cohort.network('linear-0', states['linear-0'].variables)
  for ours, theirs in zip(deployed.encode(image).stages, wanted, strict=True):
    np.testing.assert_array_equal(ours, theirs)


def test_what_the_bundle_lacks_is_drawn_as_ever(assemble, bundle, train):
  begun, drawn = (train(assemble(start), []) for start in (distilled.student(bundle), None))
  held = {path for path in flat(bundle.variables) if path[1] == 'student'}
  for name, state in begun.items():
    own, other = flat(state.variables), flat(drawn[name].variables)
    assert own.keys() == other.keys()
    for path in own.keys() - held:
      np.testing.assert_array_equal(own[path], other[path])
  # A plain student has a classifier, which a distilled one does without.
  classifier = {path for path in flat(begun['scratch-0'].params) if 'classifier' in path}
  assert classifier and not {('params', *path) for path in classifier} & held


def test_training_leaves_the_start_alone(assemble, bundle, train):
  start = distilled.student(bundle)
  before = jax.tree.map(np.array, start.variables)
  cohort = assemble(start, MEMBERS[1:2])
  states = train(cohort, range(2))
  jax.tree.map(np.testing.assert_array_equal, cohort.start, before)
  moved = flat(states['linear-0'].params)['student', 'convolutions_0', 'conv', 'kernel']
  assert np.any(moved != before['params']['convolutions_0']['conv']['kernel'])


def test_a_plain_network_is_its_own_student(teacher):
  assert distilled.student(teacher) is teacher


def test_another_student_is_refused(assemble, teacher):
  with pytest.raises(UserError, match='simkd trains plain:Plain, which is not the ResNet'):
    assemble(teacher)
