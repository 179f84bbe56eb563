"""Measure how near a training step comes to the limits of this device.

python -m benchmarks.limit --teacher resnet32x4 --student resnet8x4 --precision float32

`benchmarks.floor` says what the limits are.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import jax
import jax.numpy as jnp
from absl import flags

from benchmarks import floor
from pidkd_jax import models
from pidkd_jax.models import norm_fusion
from pidkd_jax.data import noise
from pidkd_jax.nn.precision import PRECISIONS
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.experiment import workdir
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams, Recipe
from pidkd_jax.models.network import Network

_TEACHER = flags.DEFINE_string('teacher', 'resnet32x4', "The teacher's network.")
_STUDENT = flags.DEFINE_string('student', 'resnet8x4', "The student's network.")
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Images in a batch.', lower_bound=1)
_PRECISION = flags.DEFINE_enum(
  'precision', 'float32', [*PRECISIONS], 'Precision of the step and the peak.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 7, 'Timed calls of each.', lower_bound=1)

CLASSES = 100


def main():
  with PRECISIONS[_PRECISION.value].scope():
    _report()


def _report():
  precision = PRECISIONS[_PRECISION.value]
  peak = floor.peak(precision.dtype, rounds=_ROUNDS.value)
  bandwidth = floor.bandwidth(_ROUNDS.value)
  spec = noise.dataset(2 * _BATCH_SIZE.value, 32, CLASSES)
  recipe = Recipe(total_epochs=1, batch_size=_BATCH_SIZE.value)
  stream = spec.train.batches(
    spec.spec.normalisation,
    jax.random.key(0),
    batch_size=_BATCH_SIZE.value,
    padding=spec.spec.padding,
    flip=spec.spec.flip,
    dtype=precision.dtype,
  )
  batch = stream.batch(stream.order(jnp.int32(0)), jnp.int32(0))
  model = models.create(_TEACHER.value, num_classes=CLASSES)
  teacher = norm_fusion.fuse_norms(
    Network(jax.jit(model.init)(jax.random.key(1), batch.image), model), batch.image.shape[1:]
  )
  cohort = cohorts.assemble(
    [Member('pidkd', _STUDENT.value, 'pidkd', {}, OptimizerHparams(), 0)],
    teacher=teacher,
    dataset=spec.spec,
    image=jax.ShapeDtypeStruct(batch.image.shape, batch.image.dtype),
    optimizer=Optimizer.from_recipe(recipe, len(spec.train)),
    key=jax.random.key(2),
  )
  states = cohort.init(batch)
  products = floor.operations(cohort, states, batch)
  observing, updating = cohort.programs(cohort.init, batch)
  moved = sum(_bytes(program().compile()) for program in (observing, updating))
  seconds = _step(cohort, states, batch)

  print(', '.join(f'{key} {value}' for key, value in workdir.environment().items()))
  print(
    f'{_TEACHER.value} -> {_STUDENT.value}, pidkd, batch {_BATCH_SIZE.value}, {_PRECISION.value}\n'
  )
  by_products, by_bytes = products / peak, moved / bandwidth
  print(
    f'peak of products: {peak / 1e9:,.0f} G operations/s, of copies: {bandwidth / 1e9:,.1f} GB/s'
  )
  print(f'a step: {products / 1e9:,.1f} G operations, at least {1e3 * by_products:,.2f} ms')
  print(f'        {moved / 1e9:,.2f} GB by XLA, at least {1e3 * by_bytes:,.2f} ms')
  print(
    f'measured: {1e3 * seconds:,.2f} ms, of which the larger floor is '
    f'{100 * max(by_products, by_bytes) / seconds:.0f}%'
  )


def _step(cohort: Cohort, states, batch) -> float:
  """Return the median seconds of a step."""
  states = cohort.step(states, batch, jnp.int32(0))

  def step():
    nonlocal states
    states = cohort.step(states, batch, jnp.int32(0))
    return states

  return floor.median(step, _ROUNDS.value)


def _bytes(compiled: jax.stages.Compiled) -> float:
  analysis = compiled.cost_analysis()
  return (analysis[0] if isinstance(analysis, list) else analysis)['bytes accessed']


if __name__ == '__main__':
  app.run(main)
