"""The memory estimate: by hand, beside arrays, and beside what XLA sets aside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax.methods.base import Method
from pidkd_jax.parallel import devices
from pidkd_jax.training import calls, lanes, memory
from pidkd_jax.training.cohort import Cohort, _update
from pidkd_jax.training.learner import Learner
from pidkd_jax.training.member import Member
from pidkd_jax.training.memory import MemberMemory, MemoryEstimate
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams
from pidkd_jax.training.step import observe


def member(method, trial=0, student='tests.plain:Plain', **chosen):
  return Member(method, student, method, chosen, OptimizerHparams(0.05, 5e-4), trial)


def array_bytes(tree):
  """Return the bytes of a tree of arrays."""
  return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


@pytest.fixture(autouse=True)
def one_lane(monkeypatch):
  monkeypatch.setattr(lanes, 'number', lambda: 1)


@pytest.fixture
def on_accelerator(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')


def test_estimated_states_are_as_large_as_the_arrays(assemble, train, batches, on_accelerator):
  cohort = assemble(member('scratch'), member('crd'))
  states = train(cohort, [])
  estimated = memory.estimate(cohort, batches[0]).members
  assert {name: one.state for name, one in estimated.items()} == {
    name: array_bytes(state) for name, state in states.items()
  }
  # Parameters and momentum, the statistics, two sums and the first bad step.
  state = states['scratch-0']
  assert estimated['scratch-0'].state == (
    2 * array_bytes(state.params) + array_bytes(state.collections['batch_stats']) + 12
  )


def test_what_teacher_and_observer_share_counts_once():
  shared, own = jnp.zeros(8), jnp.zeros(2)
  assert memory._bytes(({'a': shared}, {'a': shared, 'b': own})) == 40


def test_a_hold_out_keeps_the_variables_twice(assemble, train):
  [state] = train(assemble(member('scratch')), []).values()
  added = memory.state_bytes(state, selects=True) - memory.state_bytes(state)
  assert added == array_bytes(state.params) + array_bytes(state.collections)


def test_on_cpu_a_checkpoint_is_a_second_copy(assemble, batches, monkeypatch):
  cohort, estimates = assemble(member('scratch')), {}
  for backend in ('cpu', 'gpu'):
    monkeypatch.setattr(jax, 'default_backend', lambda: backend)
    estimates[backend] = memory.estimate(cohort, batches[0])
  cpu, gpu = (estimates[backend].members['scratch-0'] for backend in ('cpu', 'gpu'))
  assert cpu.state == 2 * gpu.state
  assert estimates['cpu'].shared == estimates['gpu'].shared


def test_several_cpu_devices_hold_images_and_teacher_once_each(assemble, batches, monkeypatch):
  cohort, shared = assemble(member('simkd')), []
  for count in (1, 2):
    monkeypatch.setattr(devices, 'count', lambda count=count: count)
    shared.append(memory.estimate(cohort, batches[0], images=1000).shared)
  assert shared[1] - shared[0] == 1000 + array_bytes((cohort.teacher, cohort.observer))


def test_images_batch_and_teacher_are_shared(assemble, batches):
  images, batch = 12 * 8 * 8 * 3, 4 * (4 * 8 * 8 * 3 + 4 + 4)
  alone = memory.estimate(assemble(member('scratch')), batches[0], images=images)
  assert alone.shared == images + batch
  cohort = assemble(member('simkd'))
  taught = memory.estimate(cohort, batches[0], images=images)
  assert taught.shared == images + batch + array_bytes(observe(cohort.teacher, batches[0]))


def test_a_trial_adds_only_its_state(assemble, batches):
  [one, five] = (
    memory.estimate(assemble(*(member('simkd', trial) for trial in range(count))), batches[0])
    for count in (1, 5)
  )
  trial = one.members['simkd-0']
  assert list(five.members.values()) == [trial] * 5
  assert one.total == one.shared + trial.state + trial.activation
  assert five.total == one.total + 4 * trial.state


def test_the_largest_activations_count_of_members_that_run_at_once():
  members = {'a': MemberMemory(2, 5), 'b': MemberMemory(3, 7), 'c': MemberMemory(4, 6)}
  estimate = MemoryEstimate(10, members)
  assert estimate.total == 10 + 9 + 7
  assert estimate.subset('ac').total == 10 + 6 + 6
  together = MemoryEstimate(10, members, at_once=2)
  assert together.total == 10 + 9 + (7 + 6)
  assert together.subset('a').total == 10 + 2 + 5


def test_lanes_hold_a_second_batch_and_the_activations_of_several_members(
  assemble, batches, monkeypatch
):
  cohort = assemble(*(member('simkd', trial) for trial in range(5)))
  alone = memory.estimate(cohort, batches[0])
  monkeypatch.setattr(lanes, 'number', lambda: 3)
  several = memory.estimate(cohort, batches[0])
  assert several.shared - alone.shared == calls.pass_bytes(cohort, batches[0])
  activation = alone.members['simkd-0'].activation
  assert several.total - several.shared == alone.total - alone.shared + 2 * activation


def test_shapes_and_arrays_have_the_same_estimate(assemble, batches):
  cohort = assemble(member('pidkd'), member('scratch'))
  teacher, batch = jax.eval_shape(lambda: (cohort.teacher, batches[0]))
  estimate = memory.estimate(cohort.replace(teacher=teacher), batch)
  assert estimate == memory.estimate(cohort, batches[0])


def test_streamed_images_are_those_that_are_read_ahead(assemble, batches):
  cohort = assemble(member('scratch'))
  less, more = (memory.estimate(cohort, batches[0], images=images).shared for images in (5, 1005))
  assert more - less == 1000


class Product(Method):
  """The sine of the pixels' product with a matrix, pooled before or not."""

  pooled: bool = False
  needs_teacher = False

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    x = nn.max_pool(batch.image, (2, 2), (2, 2)) if self.pooled else batch.image
    x = x.reshape(len(x), -1)
    matrix = self.param('matrix', nn.initializers.ones, (x.shape[1], 7))
    return {'own': jnp.sum(jnp.sin(x @ matrix), axis=1)}


@pytest.mark.parametrize('pooled, pixels', [(False, 8 * 8 * 3), (True, 4 * 4 * 3)])
@pytest.mark.parametrize('parts', [1, 2])
def test_an_activation_by_hand(dataset, batches, pooled, pixels, parts, on_accelerator):
  method = Product(student=None, target=None, dataset=dataset, pooled=pooled)
  learner = Learner.create(
    method, Optimizer(3, (), 1, 0.9, accumulation=parts), jax.random.key(0), OptimizerHparams(1, 0)
  )
  cohort = Cohort(teacher=None, names=('own',), learners=(learner,))
  estimated = memory.estimate(cohort, batches[0]).members['own'].activation
  images = 4 // parts
  # The gradient and the mean over parts, the pixels as a matrix, and the cosine.
  values = parts * pixels * 7 + images * pixels + images * 7
  # Four coordinates of each pixel.
  coordinates = 4 * images * 8 * 8 * 3 if pooled else 0
  assert estimated == 4 * (values + coordinates)


def test_on_cpu_the_parts_of_a_batch_are_held_at_once(assemble, batches):
  """SemCKD's parameters depend on the size of a part, so it has no loss of the whole batch."""
  one_part = jax.tree.map(lambda x: x[: len(x) // 2], batches[0])
  alone, both = (
    memory.estimate(
      assemble(member('semckd'), optimizer=Optimizer(3, (), 0.1, 0.9, accumulation=parts)), batch
    )
    for parts, batch in ((1, one_part), (2, batches[0]))
  )
  # The residuals of two parts, their gradient, and the mean over parts.
  assert both.members['semckd-0'].activation == 2 * alone.members['semckd-0'].activation


@pytest.mark.parametrize('method', ['scratch', 'simkd'])
def test_the_estimate_is_near_what_xla_sets_aside(assemble, batches, method):
  """The batch is larger than elsewhere, so that the maps take most of the memory."""
  cohort = assemble(member(method, student='resnet8'))
  batch = jax.tree.map(lambda x: np.concatenate([x] * 8), batches[0])
  [(name, learner)] = cohort.by_name.items()
  state = jax.eval_shape(Cohort.init, cohort, batch)[name]
  teacher = jax.eval_shape(observe, cohort.teacher, batch)
  lowered = _update.lower(learner, state, batch, teacher, jnp.int32(0))
  planned = lowered.compile().memory_analysis().temp_size_in_bytes
  estimated = memory.activation_bytes(cohort, name, state, batch, teacher)
  assert 0.7 < estimated / planned < 1.6


@pytest.mark.parametrize('parts', [1, 2])
def test_devices_share_batches_and_replicate_variables(
  assemble, dataset, batches, parts, monkeypatch, on_accelerator
):
  method = Product(student=None, target=None, dataset=dataset, pooled=True)
  learner = Learner.create(
    method, Optimizer(3, (), 1, 0.9, accumulation=parts), jax.random.key(0), OptimizerHparams(1, 0)
  )
  own = Cohort(teacher=None, names=('own',), learners=(learner,))
  taught = assemble(member('simkd'))
  estimates = []
  for count in (1, 2):
    monkeypatch.setattr(devices, 'count', lambda count=count: count)
    estimates.append([memory.estimate(one, batches[0], look_ahead=3) for one in (own, taught)])
  (alone, taught_alone), (shared, taught_shared) = estimates
  gradient = parts * 4 * (4 * 4 * 3) * 7
  before, after = (one.members['own'].activation for one in (alone, shared))
  assert after - gradient == (before - gradient) // 2
  halved = 3 * calls.pass_bytes(taught, batches[0]) // 2
  assert taught_alone.shared - taught_shared.shared == halved
  assert taught_shared.shared == array_bytes((taught.teacher, taught.observer)) + halved
