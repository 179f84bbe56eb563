"""Many steps in one compiled call, which is the default on accelerators."""

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams


def test_scan_equals_single_steps_but_for_rounding(assemble, dataset):
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (dataset.num_examples, *dataset.image_shape), np.uint8)
  stream = ResidentSplit(images, dataset.labels).batches(
    dataset.normalisation,
    jax.random.key(1),
    batch_size=4,
    padding=1,
    flip=True,
  )
  cohort = assemble(
    Member(
      'pidkd', 'resnet8*0.25', 'pidkd', {'num_projectors': 2, 'factor': 4}, OptimizerHparams(), 0
    ),
    Member(
      'crd', 'resnet8*0.25', 'crd', {'num_negatives': 8, 'dimension': 4}, OptimizerHparams(), 0
    ),
  )
  order = stream.order(jnp.int32(0))
  first = cohort.init(stream.batch(order, jnp.int32(0)))
  one_by_one = jax.tree.map(jnp.copy, first)
  for step in range(stream.steps_per_epoch):
    step = jnp.int32(step)
    one_by_one = cohort.step(one_by_one, stream.batch(order, step), step)
  at_once = cohorts.scan(cohort, first, stream, order, jnp.int32(0), stream.steps_per_epoch)
  assert jax.tree.structure(at_once) == jax.tree.structure(one_by_one)
  for ours, theirs in zip(jax.tree.leaves(at_once), jax.tree.leaves(one_by_one), strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)
