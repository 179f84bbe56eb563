"""Measures a pair, method and batch size: speed, compile time and memory.

    python scripts/benchmark.py --teacher resnet32x4 --student resnet8x4 --method pidkd

With --trials 5 five trials train as one cohort, and a single run is timed in turn with it: it is
then said what share of the time of five separate runs the cohort takes. Images are random, as no
figure depends on what they show; each speed is the median of --rounds rounds of --steps steps,
with the slowest and the fastest round beside it.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import ast
import pathlib
import resource
import statistics
import tempfile
import time

import jax
import jax.numpy as jnp
from absl import flags
from jax.experimental.compilation_cache import compilation_cache

from pidkd_jax import models
from pidkd_jax.models import norm_fusion
from pidkd_jax.data import noise
from pidkd_jax.data.pipeline import resident_batches
from pidkd_jax.core.errors import UserError
from pidkd_jax.evaluation import inference
from pidkd_jax.nn.precision import PRECISIONS
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.experiment import workdir
from pidkd_jax.training.cohort import Member
from pidkd_jax.training.optimizer import optimizer
from pidkd_jax.training.recipe import OptimizerHparams, Recipe
from pidkd_jax.core.types import Network

_TEACHER = flags.DEFINE_string('teacher', 'resnet32x4', 'Network.')
_STUDENT = flags.DEFINE_string('student', 'resnet8x4', 'Network.')
_METHOD = flags.DEFINE_string('method', 'pidkd', 'Method.')
_SET = flags.DEFINE_multi_string(
  'set', [], 'A hyper-parameter of the method, e.g. --set num_projectors=1; repeatable.'
)
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Of the training step.', lower_bound=1)
_IMAGE_SIZE = flags.DEFINE_integer('image_size', 32, 'Side of the square images.', lower_bound=8)
_NUM_CLASSES = flags.DEFINE_integer('num_classes', 100, 'Of teacher and student.', lower_bound=2)
_TRIALS = flags.DEFINE_integer('trials', 1, 'Members of the cohort.', lower_bound=1)
_PRECISION = flags.DEFINE_enum('precision', 'float32', [*PRECISIONS], 'Of the training step.')
_STEPS = flags.DEFINE_integer('steps', 10, 'In a round.', lower_bound=1)
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'Timed, after one that is not.', lower_bound=1)
_STEPS_PER_CALL = flags.DEFINE_integer(
  'steps_per_call', 0, 'Steps in one compiled call; 0: 1 on CPU, --steps elsewhere.', lower_bound=0
)


def main():
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  with (
    tempfile.TemporaryDirectory() as caches,
    PRECISIONS[_PRECISION.value].scope(),
    models.explain_errors(_TEACHER.value, _STUDENT.value),
  ):
    _measure(pathlib.Path(caches))


def _measure(caches):
  cohort, stream, examples = _cohort(_TRIALS.value)
  order = stream.order(jnp.int32(0))
  batch = stream.batch(order, jnp.int32(0))
  fused = _STEPS_PER_CALL.value or (1 if jax.default_backend() == 'cpu' else _STEPS.value)
  fused = min(fused, _STEPS.value)

  def train(cohort, states, steps):
    if fused > 1:
      for first in range(0, steps, fused):
        count = min(fused, steps - first)
        states = cohorts.scan(cohort, states, stream, order, jnp.int32(first), count)
      return states
    for step in range(steps):
      step = jnp.int32(step)
      states = cohort.step(states, stream.batch(order, step), step)
    return states

  # The same program, so whoever comes first pays; each begins with a cache of its own.
  runs = {'training step': cohort}
  if _TRIALS.value > 1:
    runs['one run alone'] = _cohort(1)[0]
  states, first_call = {}, {}
  for title, run in runs.items():
    jax.config.update('jax_compilation_cache_dir', str(caches / title))
    compilation_cache.reset_cache()
    for kind in ('cold', 'warm'):
      jax.clear_caches()
      states[title] = jax.block_until_ready(run.init(batch))
      started = time.monotonic()
      states[title] = jax.block_until_ready(train(run, states[title], fused))
      first_call[f'{title}, {kind} cache'] = time.monotonic() - started

  training = {title: [] for title in runs}
  for _ in range(_ROUNDS.value + 1):
    for title, run in runs.items():
      started = time.monotonic()
      states[title] = jax.block_until_ready(train(run, states[title], _STEPS.value))
      training[title].append(time.monotonic() - started)
  training = {title: seconds[1:] for title, seconds in training.items()}

  def observe():
    for _ in range(_STEPS.value):
      seen = cohorts.observe(cohort.teacher, batch)
    return seen

  name = cohort.methods[0][0]
  network = cohort.network(name, states['training step'][name].variables)
  split = inference.eval_split(examples, (0.5,) * 3, (0.25,) * 3)
  count = _STEPS.value * _BATCH_SIZE.value
  rows = [(title, count, seconds) for title, seconds in training.items()]
  if cohort.teacher is not None:
    rows.append(("teacher's forward pass", count, _rounds(observe)))
  rows.append(('evaluation', len(examples), _rounds(lambda: inference.logits(network, split))))

  print(
    f'{_TEACHER.value} -> {_STUDENT.value}, {" ".join([_METHOD.value, *_SET.value])}, '
    f'batch {_BATCH_SIZE.value}, {_IMAGE_SIZE.value}x{_IMAGE_SIZE.value}, {_PRECISION.value}, '
    f'{fused} step(s) a call'
  )
  print(', '.join(f'{key} {value}' for key, value in workdir.environment().items()))
  print(f'\n| {"":<22} | images/s | slowest - fastest round | ms a batch |')
  print('|---|---|---|---|')
  for title, images, seconds in rows:
    speeds = sorted(images / s for s in seconds)
    batch_seconds = statistics.median(seconds) * _BATCH_SIZE.value / images
    print(
      f'| {title:<22} | {statistics.median(speeds):,.0f} '
      f'| {speeds[0]:,.0f} - {speeds[-1]:,.0f} | {1000 * batch_seconds:.1f} |'
    )
  if _TRIALS.value > 1:
    together, alone = (statistics.median(seconds) for seconds in training.values())
    print(
      f'{_TRIALS.value} trials as one cohort take {together / (_TRIALS.value * alone):.2f} of the '
      f'time of {_TRIALS.value} runs'
    )
  for title, seconds in first_call.items():
    print(f'first call of {title}: {seconds:.1f} s')
  print(f'peak memory: {_peak_memory() / 2**20:,.0f} MiB')


def _cohort(trials):
  size, classes = _IMAGE_SIZE.value, _NUM_CLASSES.value
  examples = max(2 * inference.BATCH_SIZE, _STEPS.value * _BATCH_SIZE.value)
  data = noise.dataset(examples, size, classes)
  spec = data.spec
  model = models.create(_TEACHER.value, num_classes=classes)
  dtype = PRECISIONS[_PRECISION.value].dtype
  image = jax.ShapeDtypeStruct((_BATCH_SIZE.value, size, size, 3), dtype)
  teacher = Network(jax.jit(model.init)(jax.random.key(1), jnp.zeros(image.shape)), model)
  teacher = norm_fusion.fuse_norms(teacher)
  members = [
    Member(
      _METHOD.value, _STUDENT.value, _METHOD.value, _hyperparameters(), OptimizerHparams(), trial
    )
    for trial in range(trials)
  ]
  recipe = Recipe(total_epochs=1, batch_size=_BATCH_SIZE.value)
  cohort = cohorts.assemble(
    members,
    teacher=teacher,
    dataset=spec,
    image=image,
    optimizer=optimizer(recipe, examples),
    key=jax.random.key(0),
  )
  stream = resident_batches.make_batches(
    data.train,
    spec.normalisation,
    jax.random.key(2),
    batch_size=_BATCH_SIZE.value,
    padding=spec.padding,
    flip=spec.flip,
    dtype=dtype,
  )
  return cohort, stream, data.train


def _hyperparameters():
  found = {}
  for setting in _SET.value:
    name, equals, value = setting.partition('=')
    if not equals:
      raise UserError(f'--set {setting} has no value; write --set {setting}=VALUE')
    try:
      found[name] = ast.literal_eval(value)
    except (ValueError, SyntaxError):
      found[name] = value
  return found


def _rounds(function):
  jax.block_until_ready(function())
  seconds = []
  for _ in range(_ROUNDS.value):
    started = time.monotonic()
    jax.block_until_ready(function())
    seconds.append(time.monotonic() - started)
  return seconds


def _peak_memory():
  stats = jax.devices()[0].memory_stats()
  if stats:
    return stats['peak_bytes_in_use']
  # On CPU there is one memory; Linux counts it in KiB.
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == '__main__':
  app.run(main)
