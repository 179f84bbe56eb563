"""Programs of several members at once: what they compute, and when there are such lanes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.core import runtime
from pidkd_jax.parallel import devices
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training import lanes
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams

METHODS = ('pidkd', 'crd', 'scratch', 'kd_1_1', 'pidkd')


def train(step, cohort, batches, steps=4):
  states = cohort.init(batches[0])
  for number in range(steps):
    states = step(cohort, states, batches[number], jnp.int32(number))
  return states


@pytest.mark.parametrize('count', [1, 2, 3])
def test_members_in_lanes_are_bit_identical(count, assemble, batches):
  members = [
    Member(method, 'tests.plain:Plain', method, {}, OptimizerHparams(), trial)
    for trial, method in enumerate(METHODS)
  ]
  cohort = assemble(*members)
  # Settings of this thread. Lanes that lacked them would compile the updates again.
  with jax.default_matmul_precision('highest'), jax.default_device(jax.devices('cpu')[0]):
    alone = train(cohorts.Cohort.step, cohort, batches)
    compiled = cohorts._update._cache_size()
    some = lanes.Lanes(count)
    try:
      together = train(some.step, cohort, batches)
    finally:
      some.close()
  assert cohorts._update._cache_size() == compiled
  assert list(together) == list(alone)
  for ours, theirs in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
    assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


def test_an_error_in_a_lane_is_raised(assemble, batches, monkeypatch):
  def update(*_):
    raise RuntimeError('out of memory')

  cohort = assemble(Member('kd', 'tests.plain:Plain', 'kd_1_1', {}, OptimizerHparams(), 0))
  monkeypatch.setattr(cohorts.Cohort, 'update', update)
  with pytest.raises(RuntimeError, match='out of memory'):
    train(lanes.Lanes(2).step, cohort, batches)


@pytest.mark.parametrize(
  ('platform', 'devices_used', 'cores', 'expected'),
  [('cpu', 1, 1, 1), ('cpu', 1, 2, 2), ('cpu', 1, 64, 4), ('cpu', 2, 2, 1), ('gpu', 1, 2, 1)],
)
def test_only_one_cpu_device_with_several_cores_has_lanes(
  platform, devices_used, cores, expected, monkeypatch
):
  monkeypatch.setattr(jax, 'default_backend', lambda: platform)
  monkeypatch.setattr(devices, 'count', lambda: devices_used)
  monkeypatch.setattr(runtime, 'cores', lambda: cores)
  assert lanes.number() == expected
