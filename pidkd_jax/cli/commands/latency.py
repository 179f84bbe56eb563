"""Measure how fast bundles and exports answer.

    pidkd latency --bundle runs/a/bundles/pidkd-0 --export exported/onnx \\
        --out latency

The first bundle's teacher is measured, too. Each network has a process of its
own; they answer in turn. A call takes uint8 images on the host to logits on the
host. OUT gets latency.md, latency.csv and latency.png: accuracy, from the
cards, against latency.
"""

import collections
import contextlib
import dataclasses
import os
import shlex
import sys

import jax
from absl import flags

from pidkd_jax.cli import bundle_flags
from pidkd_jax.core import local_path, screen
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.experiment import workdir
from pidkd_jax.latency import export_folder, figure, table
from pidkd_jax.latency.candidate import comparable, from_bundle
from pidkd_jax.latency.measurement import measure
from pidkd_jax.report.figures import canvas
from pidkd_jax.report.table import to_markdown, write_csv

FLAGS = flags.FLAGS

# Each of several processes would take most of a GPU's memory. JAX reads it when it first uses one.
os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')


def define_flags():
  bundle_flags.define_several()
  flags.DEFINE_multi_string('export', [], 'Folder of an ONNX or StableHLO export; repeatable.')
  bundle_flags.define_teacher()
  flags.DEFINE_string('out', '', 'Folder for the results.')
  flags.DEFINE_multi_integer(
    'batch_size', [1, 64], 'Images in a call; repeatable.', lower_bound=1, upper_bound=4096
  )
  flags.DEFINE_multi_string('platform', [], 'cpu or gpu; by default all. Repeatable.')
  flags.DEFINE_integer('cores', 0, 'Number of cores to use; 0: all.', lower_bound=0)
  flags.DEFINE_integer('rounds', 10, 'Timed rounds, after one to warm up.', lower_bound=1)
  flags.DEFINE_float('seconds', 0.5, 'Time of a network in a round.', 0, 60)


def main():
  if not FLAGS.bundle:
    raise UserError('no bundle was given; name one or several with --bundle')
  out = local_path.resolve('--out', FLAGS.out)
  _restrict(FLAGS.cores)
  platforms = _platforms()
  teacher, candidates = _candidates()
  with _writing(out):
    out.mkdir(parents=True, exist_ok=True)
  load, *_ = os.getloadavg()
  measurements = []
  for platform in platforms:
    able = [candidate for candidate in candidates if platform == 'cpu' or candidate.accelerated]
    measurements += measure(able, platform, FLAGS.batch_size, FLAGS.rounds, FLAGS.seconds)
  columns = table.columns(measurements)
  text = f'{_heading(load)}\n\n{to_markdown(columns)}\n'
  drawn = figure.draw(measurements, teacher)
  with _writing(out):
    (out / 'latency.md').write_text(text, 'utf-8')
    write_csv(columns, out / 'latency.csv')
    if drawn:
      canvas.save(drawn, out / 'latency.png')
  print(table.on_screen(columns).render(), end='\n\n')
  if not drawn:
    print('no card has an accuracy, so latency.png is left out', file=sys.stderr)
  files = ['latency.md', 'latency.csv', *(['latency.png'] if drawn else [])]
  print(screen.places({'report': [str(out / files[0]), *files[1:]]}))


@contextlib.contextmanager
def _writing(out):
  """Raise UserError, in one line, where --out cannot be written."""
  try:
    yield
  except OSError as error:
    raise UserError(
      f'--out {str(out)!r} cannot be written: {error.strerror or error}; name another folder'
    ) from error


def _heading(load):
  environment = ', '.join(f'{key} {value}' for key, value in workdir.environment().items())
  return (
    f'Made by `{shlex.join(["pidkd", *sys.argv[1:]])}`.\n\n- {environment}; load average at the '
    f'start {load:.1f}.\n- A call takes uint8 images on the host to logits on the host, '
    'normalisation and transfers included. Networks answered in turn, each in a process of its '
    f'own, {FLAGS.rounds} rounds of about {FLAGS.seconds:g} s each after one that does not '
    'count.\n- Peak memory is that of the process, with Python, the runtime and what it compiled; '
    "on an accelerator the most of the device's. Size is that of the file that holds the network. "
    'Accuracy is what the cards say.'
  )


def _platforms():
  """Return the platforms of --platform, or all; the first device of each answers."""
  known = list(dict.fromkeys(['cpu', jax.default_backend()]))
  if 'tpu' in known:
    known.remove('tpu')
    if 'tpu' in FLAGS.platform:
      raise UserError(
        'platform tpu cannot be measured: each network answers in a process of its own, and a TPU '
        'serves one process; leave it out'
      )
  for name in FLAGS.platform:
    if name not in known:
      raise unknown_name('platform', name, known)
  return list(dict.fromkeys(FLAGS.platform)) or known


def _candidates():
  """Return the teacher's name or None, and all candidates by different names, the teacher first."""
  loaded = bundle_flags.load_all()
  teacher, reason = bundle_flags.load_teacher(loaded[0].card)
  if reason:
    print(f'the teacher is left out: {reason}', file=sys.stderr)
  # A chain's bundles may be given whole, with what taught the first of them.
  others = [one for one in loaded if not teacher or not one.folder.samefile(teacher.folder)]
  candidates = [
    from_bundle(one, tuple(FLAGS.own)) for one in ([teacher] if teacher else []) + others
  ]
  candidates += [export_folder.read(local_path.resolve('--export', path)) for path in FLAGS.export]
  folders = collections.Counter(candidate.file.parent.resolve() for candidate in candidates)
  for folder, times in folders.items():
    if times > 1:
      raise UserError(f'{str(folder)!r} is given {times} times; name each network once')
  count = collections.Counter(candidate.name for candidate in candidates)
  candidates = [
    candidate
    if count[candidate.name] == 1
    else dataclasses.replace(candidate, name=f'{candidate.name}, {candidate.file.parent}')
    for candidate in candidates
  ]
  shown = comparable(candidates)
  if shown != candidates:
    print(
      'accuracies are left out: the cards tell of different test images or classes',
      file=sys.stderr,
    )
  return candidates[0].name if teacher else None, shown


def _restrict(count):
  """Keep this process, and those that it starts, on so many cores."""
  if not count:
    return
  if not hasattr(os, 'sched_setaffinity'):
    raise UserError('--cores needs Linux; leave it out')
  allowed = sorted(os.sched_getaffinity(0))
  if count > len(allowed):
    raise UserError(f'--cores is {count}; this process may use {len(allowed)}')
  os.sched_setaffinity(0, allowed[:count])
