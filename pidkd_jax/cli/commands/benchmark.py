"""Measure a pair's speed, compile time and memory.

    pidkd benchmark --teacher resnet32x4 --student resnet8x4 --method pidkd

Images are random. A speed is the median of --rounds rounds of --steps steps,
beside the slowest and the fastest round. With --trials 5, five trials train as
one cohort, in turn with a single run, and the output compares their times.
"""

import ast
import pathlib
import resource
import statistics
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
from absl import flags
from jax.experimental.compilation_cache import compilation_cache

from pidkd_jax import models
from pidkd_jax.core import own_code, screen
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data import noise
from pidkd_jax.evaluation import inference
from pidkd_jax.experiment import workdir
from pidkd_jax.models import norm_fusion
from pidkd_jax.models.network import Network
from pidkd_jax.nn.precision import PRECISIONS
from pidkd_jax.training import calls, lanes
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

FLAGS = flags.FLAGS


def define_flags():
  flags.DEFINE_string('teacher', 'resnet32x4', 'Network, or package.module:Class.')
  flags.DEFINE_string('student', 'resnet8x4', 'Network, or package.module:Class.')
  flags.DEFINE_string('method', 'pidkd', 'Method, or package.module:Class.')
  flags.DEFINE_multi_string(
    'set', [], 'Hyper-parameter of the method, as num_projectors=1; repeatable.'
  )
  flags.DEFINE_integer('batch_size', 64, 'Images in a training step.', lower_bound=1)
  flags.DEFINE_integer('image_size', 32, 'Side of the square images.', lower_bound=8)
  flags.DEFINE_integer('num_classes', 100, 'Number of classes.', lower_bound=2)
  flags.DEFINE_integer('trials', 1, 'Trials of the cohort.', lower_bound=1)
  flags.DEFINE_enum('precision', 'float32', [*PRECISIONS], 'Precision of the training step.')
  flags.DEFINE_integer('steps', 10, 'Steps in a round.', lower_bound=1)
  flags.DEFINE_integer('rounds', 5, 'Timed rounds, after one to warm up.', lower_bound=1)
  flags.DEFINE_integer(
    'steps_per_call', 0, 'The most steps in a compiled call; 0 as in training.', lower_bound=0
  )


def main():
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  with (
    tempfile.TemporaryDirectory() as caches,
    PRECISIONS[FLAGS.precision].scope(),
    own_code.explain_errors(FLAGS.teacher, FLAGS.student, FLAGS.method),
  ):
    _measure(pathlib.Path(caches))


def _measure(caches):
  cohort, stream, examples = _cohort(FLAGS.trials)
  order = stream.order(jnp.int32(0))
  batch = stream.batch(order, jnp.int32(0))
  # As in an epoch of a round's steps.
  division = calls.plan(FLAGS.steps_per_call, 0, FLAGS.steps, cohort, batch)
  fused = division.steps
  # A round has whole calls.
  round_steps = FLAGS.steps + division.surplus(FLAGS.steps)
  together = lanes.Lanes(lanes.number())

  def train(cohort, states, steps):
    if fused > 1:
      for first in range(0, steps, fused):
        step = jnp.int32(first)
        states = cohorts.scan(cohort, states, stream, order, step, fused, division.look_ahead)
      return states
    for step in range(steps):
      step = jnp.int32(step)
      states = together.step(cohort, states, stream.batch(order, step), step)
    return states

  # The same program, so whoever comes first pays; each begins with a cache of its own.
  runs = {'training step': cohort}
  if FLAGS.trials > 1:
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
  for _ in range(FLAGS.rounds + 1):
    for title, run in runs.items():
      started = time.monotonic()
      states[title] = jax.block_until_ready(train(run, states[title], round_steps))
      training[title].append(time.monotonic() - started)
  training = {title: seconds[1:] for title, seconds in training.items()}

  name = cohort.names[0]
  network = cohort.network(name, states['training step'][name].variables)
  split = inference.eval_batches(examples, Normalisation((0.5,) * 3, (0.25,) * 3))
  count = FLAGS.steps * FLAGS.batch_size
  trained = round_steps * FLAGS.batch_size
  rows = [(title, trained, seconds) for title, seconds in training.items()]
  if cohort.teacher is not None:
    rows.append(("teacher's forward pass", count, _rounds(lambda: _observe(cohort, batch))))
  rows.append(('evaluation', len(examples), _rounds(lambda: inference.logits(network, split))))

  title = (
    f'{FLAGS.teacher} -> {FLAGS.student}, {" ".join([FLAGS.method, *FLAGS.set])}, '
    f'batch {FLAGS.batch_size}, {FLAGS.image_size}x{FLAGS.image_size}, {FLAGS.precision}, '
    f'{fused} step(s) a call'
  )
  notes = [', '.join(f'{key} {value}' for key, value in workdir.environment().items())]
  if FLAGS.trials > 1:
    together, alone = (statistics.median(seconds) for seconds in training.values())
    notes.append(
      f'{FLAGS.trials} trials as one cohort take {together / (FLAGS.trials * alone):.2f} of the '
      f'time of {FLAGS.trials} runs'
    )
  notes += [f'first call of {title}: {seconds:.1f} s' for title, seconds in first_call.items()]
  notes.append(f'peak memory: {_peak_memory() / 2**20:,.0f} MiB')
  print(f'{screen.paragraph(title)}\n\n{_table(rows).render()}\n')
  print('\n'.join(map(screen.paragraph, notes)))


def _observe(cohort, batch):
  """Let the teacher see a batch in each step of a round, in the form of training."""
  for _ in range(FLAGS.steps):
    seen = cohort.observe(batch)
  return seen


def _table(rows):
  """Return the table of speeds, of (title, images, seconds of each round)."""
  cells = []
  for title, images, seconds in rows:
    speeds = sorted(images / s for s in seconds)
    batch_seconds = statistics.median(seconds) * FLAGS.batch_size / images
    cells.append(
      (
        title,
        f'{statistics.median(speeds):,.0f}',
        f'{speeds[0]:,.0f} - {speeds[-1]:,.0f}',
        f'{1000 * batch_seconds:.1f}',
      )
    )
  return screen.Table(('', 'images/s', 'slowest - fastest round', 'ms a batch'), cells)


def _cohort(trials):
  size, classes = FLAGS.image_size, FLAGS.num_classes
  # A round fits into an epoch, also with whole calls.
  examples = max(2 * inference.BATCH_SIZE, 2 * FLAGS.steps * FLAGS.batch_size)
  data = noise.dataset(examples, size, classes)
  spec = data.spec
  model = models.create(FLAGS.teacher, num_classes=classes)
  dtype = PRECISIONS[FLAGS.precision].dtype
  image = jax.ShapeDtypeStruct((FLAGS.batch_size, size, size, 3), dtype)
  teacher = Network(jax.jit(model.init)(jax.random.key(1), jnp.zeros(image.shape)), model)
  teacher = norm_fusion.fuse_norms(teacher, image.shape[1:])
  members = [
    Member(FLAGS.method, FLAGS.student, FLAGS.method, _hyperparameters(), OptimizerHparams(), trial)
    for trial in range(trials)
  ]
  recipe = Recipe(total_epochs=1, batch_size=FLAGS.batch_size)
  cohort = cohorts.assemble(
    members,
    teacher=teacher,
    dataset=spec,
    image=image,
    optimizer=Optimizer.from_recipe(recipe, examples),
    key=jax.random.key(0),
  )
  stream = data.train.batches(
    spec.normalisation,
    jax.random.key(2),
    batch_size=FLAGS.batch_size,
    padding=spec.padding,
    flip=spec.flip,
    dtype=dtype,
  )
  return cohort, stream, data.train


def _hyperparameters():
  found = {}
  for setting in FLAGS.set:
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
  for _ in range(FLAGS.rounds):
    started = time.monotonic()
    jax.block_until_ready(function())
    seconds.append(time.monotonic() - started)
  return seconds


def _peak_memory():
  """Return the most memory that was in use, in bytes."""
  stats = jax.devices()[0].memory_stats()
  if stats:
    return stats['peak_bytes_in_use']
  # On CPU there is one memory. macOS counts it in bytes, Linux in KiB.
  unit = 1 if sys.platform == 'darwin' else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
