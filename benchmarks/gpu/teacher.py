"""The training of the teacher itself. It imports JAX."""

import statistics

import jax
import jax.numpy as jnp

from benchmarks import floor, pair
from benchmarks.gpu.training import ROUNDS, setting
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer


def milliseconds(short: bool, precision: str) -> tuple[pair.Setting, float]:
  """Return what is trained, and the median milliseconds of a step."""
  what = setting(short, precision)
  data = what.data()
  with what.formats.scope():
    batches = data.train.batches(
      data.spec.normalisation,
      jax.random.key(1),
      batch_size=what.batch_size,
      padding=data.spec.padding,
      flip=True,
      dtype=what.formats.dtype,
    )
    order = batches.order(jnp.int32(0))
    batch = batches.batch(order, jnp.int32(0))
    cohort = cohorts.assemble(
      [Member('teacher', what.teacher, 'scratch', {}, pair.HPARAMS, 0)],
      teacher=None,
      dataset=data.spec,
      image=jax.ShapeDtypeStruct(batch.image.shape, batch.image.dtype),
      optimizer=Optimizer(
        total_steps=10**6, boundaries=(), drop_factor=0.1, momentum=pair.MOMENTUM
      ),
      key=jax.random.key(0),
    )
    states = cohort.init(batch)

    def train():
      nonlocal states
      states = cohorts.scan(cohort, states, batches, order, jnp.int32(0), what.steps)
      return states

    seconds = statistics.median(floor.times(train, 1 if short else ROUNDS))
  return what, 1000 * seconds / what.steps
