"""What a training takes, by hand, by arrays that are there, and by what XLA sets aside."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax.core.errors import UserError
from pidkd_jax.methods.base import Method
from pidkd_jax.training import memory
from pidkd_jax.training.cohort import Cohort, _update
from pidkd_jax.training.learner import Learner
from pidkd_jax.training.member import Member
from pidkd_jax.training.memory import (
  MIB,
  MemberMemory,
  MemoryEstimate,
  partition,
  partition_over_groups,
)
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams
from pidkd_jax.training.step import observe


def member(method, trial=0, student='resnet8', **chosen):
  return Member(method, student, method, chosen, OptimizerHparams(0.05, 5e-4), trial)


def held(tree):
  """Bytes of arrays that are there."""
  return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


@pytest.fixture
def on_accelerator(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')


def test_states_are_those_of_the_arrays(assemble, train, batches, on_accelerator):
  cohort = assemble(member('scratch'), member('crd'))
  states = train(cohort, [])
  found = memory.estimate(cohort, batches[0]).needs
  assert {name: need.state for name, need in found.items()} == {
    name: held(state) for name, state in states.items()
  }
  # Parameters and momentum, the statistics, two sums and the first bad step.
  state = states['scratch-0']
  assert found['scratch-0'].state == (
    2 * held(state.params) + held(state.collections['batch_stats']) + 12
  )


def test_a_hold_out_keeps_the_variables_twice(assemble, train):
  [state] = train(assemble(member('scratch')), []).values()
  more = memory.state_bytes(state, selects=True) - memory.state_bytes(state)
  assert more == held(state.params) + held(state.collections)


def test_on_cpu_a_checkpoint_is_a_second_copy(assemble, batches, monkeypatch):
  cohort, found = assemble(member('scratch')), {}
  for backend in ('cpu', 'gpu'):
    monkeypatch.setattr(jax, 'default_backend', lambda: backend)
    found[backend] = memory.estimate(cohort, batches[0])
  assert found['cpu'].needs['scratch-0'].state == 2 * found['gpu'].needs['scratch-0'].state
  assert found['cpu'].needs['scratch-0'].activation == found['gpu'].needs['scratch-0'].activation
  assert found['cpu'].shared == found['gpu'].shared


def test_images_batch_and_teacher_are_shared(assemble, batches):
  images, batch = 12 * 8 * 8 * 3, 4 * (4 * 8 * 8 * 3 + 4 + 4)
  alone = memory.estimate(assemble(member('scratch')), batches[0], images=images)
  assert alone.shared == images + batch
  cohort = assemble(member('simkd'))
  taught = memory.estimate(cohort, batches[0], images=images)
  assert taught.shared == images + batch + held(observe(cohort.teacher, batches[0]))


def test_trials_add_their_state_alone(assemble, batches):
  [one, five] = (
    memory.estimate(assemble(*(member('simkd', trial) for trial in range(count))), batches[0])
    for count in (1, 5)
  )
  need = one.needs['simkd-0']
  assert list(five.needs.values()) == [need] * 5
  assert one.total == one.shared + need.state + need.activation
  assert five.total == one.total + 4 * need.state


def test_the_largest_activation_counts_once():
  assert (
    MemoryEstimate(
      10, {'a': MemberMemory(2, 5), 'b': MemberMemory(3, 7), 'c': MemberMemory(4, 6)}
    ).total
    == 10 + 9 + 7
  )


def test_shapes_will_do(assemble, batches):
  cohort = assemble(member('pidkd'), member('scratch'))
  shapes = jax.eval_shape(lambda: (cohort.teacher, batches[0]))
  found = memory.estimate(cohort.replace(teacher=shapes[0]), shapes[1])
  assert found == memory.estimate(cohort, batches[0])


class Product(Method):
  """One matrix on the pixels, a sine, and maybe a pooling before."""

  pooled: bool = False
  needs_teacher = False

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    x = nn.max_pool(batch.image, (2, 2), (2, 2)) if self.pooled else batch.image
    x = x.reshape(len(x), -1)
    matrix = self.param('matrix', nn.initializers.ones, (x.shape[1], 7))
    return {'own': jnp.sum(jnp.sin(x @ matrix), axis=1)}


@pytest.mark.parametrize('pooled, pixels', [(False, 8 * 8 * 3), (True, 4 * 4 * 3)])
def test_an_activation_by_hand(dataset, batches, pooled, pixels):
  method = Product(student=None, target=None, dataset=dataset, pooled=pooled)
  learner = Learner.create(
    method, Optimizer(3, (), 1, 0.9), jax.random.key(0), OptimizerHparams(1, 0)
  )
  cohort = Cohort(teacher=None, names=('own',), members=(learner,))
  found = memory.estimate(cohort, batches[0]).needs['own'].activation
  # The gradient, the pixels as a matrix, and the cosine.
  values = pixels * 7 + 4 * pixels + 4 * 7
  # Four coordinates of each pixel.
  coordinates = 4 * 4 * 8 * 8 * 3 if pooled else 0
  assert found == 4 * (values + coordinates)


@pytest.mark.parametrize('method', ['scratch', 'simkd'])
def test_the_estimate_is_near_what_xla_sets_aside(assemble, batches, method):
  """Larger than a toy, so that what counts are the maps."""
  cohort = assemble(member(method))
  batch = jax.tree.map(lambda x: jnp.concatenate([x] * 8), batches[0])
  [(name, learner)] = cohort.learners.items()
  state = jax.eval_shape(Cohort.init, cohort, batch)[name]
  teacher = jax.eval_shape(observe, cohort.teacher, batch)
  lowered = _update.lower(learner, state, batch, teacher, jnp.int32(0))
  taken = lowered.compile().memory_analysis().temp_size_in_bytes
  found = memory.activation_bytes(cohort, name, state, batch, teacher)
  assert 0.7 < found / taken < 1.6


MEMBERS = [types.SimpleNamespace(name=name) for name in 'abcd']
NEEDS = {
  'a': MemberMemory(2, 5),
  'b': MemberMemory(3, 5),
  'c': MemberMemory(4, 9),
  'd': MemberMemory(1, 1),
}


@pytest.mark.parametrize(
  'budget, expected',
  [
    # Each alone: 17, 18, 23, 12. Together: ab 20, abc 28, cd 24, abcd 29.
    (23, ['ab', 'c', 'd']),
    (24, ['ab', 'cd']),
    (27, ['ab', 'cd']),
    (28, ['abc', 'd']),
    (29, ['abcd']),
  ],
)
def test_a_split_by_hand(budget, expected):
  parts = partition(MEMBERS, NEEDS, 10, budget)
  assert [''.join(member.name for member in part) for part in parts] == expected


def test_a_split_is_the_shortest_that_keeps_the_order():
  random = np.random.default_rng(0)
  for _ in range(50):
    needs = {one.name: MemberMemory(*map(int, random.integers(1, 20, 2))) for one in MEMBERS}
    budget = int(random.integers(38, 80))
    parts = partition(MEMBERS, needs, 0, budget)
    assert [one for part in parts for one in part] == MEMBERS

    def total(some, needs=needs):
      return MemoryEstimate(0, {one.name: needs[one.name] for one in some}).total

    assert all(total(part) <= budget for part in parts)
    # No cut is idle: a part has no room for the next one's first member.
    for part, following in zip(parts, parts[1:], strict=False):
      assert total([*part, following[0]]) > budget


@pytest.mark.parametrize(
  'loads, budget, groups, expected',
  [
    ((5, 5, 9, 1), 99, 1, ['abcd']),
    ((5, 5, 9, 1), 99, 2, ['ab', 'cd']),
    ((9, 1, 1, 1), 99, 2, ['a', 'bcd']),
    ((1, 1, 1, 9), 99, 2, ['abc', 'd']),
    # More groups than members.
    ((5, 5, 9, 1), 99, 5, ['a', 'b', 'c', 'd']),
    # Two parts would suffice for memory, and leave a group idle.
    ((5, 5, 5, 5), 19, 3, ['a', 'b', 'cd']),
    # a | bcd would be as good, and bcd does not fit.
    ((2, 1, 1, 1), 12, 2, ['ab', 'cd']),
    # No two fit together, so that each group has two parts.
    ((1, 1, 1, 1), 8, 2, ['a', 'b', 'c', 'd']),
  ],
)
def test_a_division_by_hand(loads, budget, groups, expected):
  needs = {one.name: MemberMemory(4, load) for one, load in zip(MEMBERS, loads, strict=True)}
  parts = partition_over_groups(MEMBERS, needs, 0, budget, groups)
  assert [''.join(member.name for member in part) for part in parts] == expected


def test_no_division_has_a_smaller_largest_part():
  random = np.random.default_rng(0)
  for _ in range(20):
    loads = list(map(int, random.integers(1, 20, 4)))
    needs = {one.name: MemberMemory(0, load) for one, load in zip(MEMBERS, loads, strict=True)}
    parts = partition_over_groups(MEMBERS, needs, 0, 99, 2)
    assert [one for part in parts for one in part] == MEMBERS
    largest = max(sum(needs[one.name].activation for one in part) for part in parts)
    assert largest == min(max(sum(loads[:cut]), sum(loads[cut:])) for cut in (1, 2, 3))


def test_trainings_at_once_share_the_memory_of_the_host_alone(monkeypatch):
  assert memory.per_group(1000, 4) == 250
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert memory.per_group(1000, 4) == 1000


def test_no_member_no_part():
  assert partition([], {}, 10, 1) == []


def test_what_does_not_fit_alone_is_named():
  needs = {'a': MemberMemory(1, 1), 'b': MemberMemory(2 * MIB, 3 * MIB)}
  with pytest.raises(UserError, match='training of b takes about 6 MiB, and 4 MiB .* batch_size'):
    partition(MEMBERS[:2], needs, MIB, 4 * MIB)


def write(root, **texts):
  for name, text in texts.items():
    path = root / name.replace('__', '/')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_quarter_of_what_a_training_may_take_is_for_images(monkeypatch):
  free = 40 * 1024 * MIB
  monkeypatch.setattr(memory, '_free_host', lambda: free)
  assert memory.STREAMING['auto'](1024 * MIB) == 256 * MIB
  assert memory.STREAMING['auto'](1030 * MIB) == 257 * MIB  # Of 257.5.
  # The host holds what another device with more memory of its own is given: 0.25 * 0.8 * 40 GiB.
  assert memory.STREAMING['auto'](80 * 1024 * MIB) == 8 * 1024 * MIB
  assert memory.STREAMING['always'](2**40) == 0
  assert memory.STREAMING['never'](1) is None


def test_streamed_images_are_those_that_are_read_ahead(assemble, batches):
  cohort = assemble(member('scratch'))
  less, more = (memory.estimate(cohort, batches[0], images=images).shared for images in (5, 1005))
  assert more - less == 1000


def test_free_memory_of_the_host(tmp_path):
  assert memory._free_host(tmp_path) > MIB  # As elsewhere than on Linux.
  write(tmp_path, proc__meminfo='MemTotal: 9000 kB\nMemFree: 50 kB\nMemAvailable:   4000 kB\n')
  assert memory._free_host(tmp_path) == 4_096_000
  group = tmp_path / 'sys' / 'fs' / 'cgroup'
  write(group, **{'memory.max': 'max\n', 'memory.current': '1000\n'})
  assert memory._free_host(tmp_path) == 4_096_000
  write(group, **{'memory.max': '3001000\n'})
  assert memory._free_host(tmp_path) == 3_000_000
  write(group, **{'memory.max': '9000000\n'})
  assert memory._free_host(tmp_path) == 4_096_000


@pytest.mark.parametrize(
  'stats, expected',
  [
    ({'bytes_limit': 1000, 'bytes_in_use': 100}, 720),
    ({'bytes_limit': 1000}, 800),
    ({}, 400),
    (None, 400),
  ],
)
def test_the_devices_own_memory_where_it_counts_it(monkeypatch, stats, expected):
  device = types.SimpleNamespace(memory_stats=lambda: stats)
  monkeypatch.setattr(jax, 'local_devices', lambda: [device])
  monkeypatch.setattr(memory, '_free_host', lambda: 500)
  assert memory.available() == expected
