"""Measures how fast, at what memory and file size, bundles and exports answer.

    python scripts/latency.py --bundle runs/cifar100/bundles/pidkd-0 [--bundle more] \\
        [--export exported/onnx ...] --out latency

The teacher of the first bundle is measured beside them, from where its card says that it lay, or
from --teacher. Each network has a process of its own, which is asked in turn with the others for
--rounds rounds of about --seconds at each batch size; a call takes uint8 images on the host to
logits on the host, normalisation and transfers included. JAX runs on the CPU and, where there is
one, on the accelerator. --cores 1 keeps everything on one core. What is left in --out:
latency.md, latency.csv and latency.png, accuracy (as the cards have it) against latency. ONNX files
are run by onnxruntime, on the CPU.
"""

import os

# Each of several processes would take most of a GPU's memory.
os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import collections
import contextlib
import dataclasses
import shlex
import sys

import jax
from absl import flags

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.latency import exported, outcome
from pidkd_jax.latency.rounds import measure
from pidkd_jax.latency.subject import of_bundle
from pidkd_jax.report import sheet
from pidkd_jax.report.figures import SAVING
from pidkd_jax.experiment import workdir

_BUNDLE = flags.DEFINE_multi_string('bundle', [], 'Folder of a bundle; repeatable.')
_EXPORT = flags.DEFINE_multi_string(
  'export', [], 'Folder of an export, ONNX or StableHLO; repeatable.'
)
_TEACHER = flags.DEFINE_string(
  'teacher', '', "Folder of the teacher's bundle; by default where the first card says it lay."
)
_OUT = flags.DEFINE_string('out', '', 'Folder for latency.md, latency.csv and latency.png.')
_BATCH_SIZE = flags.DEFINE_multi_integer(
  'batch_size', [1, 64], 'Images in a call; repeatable.', lower_bound=1, upper_bound=4096
)
_PLATFORM = flags.DEFINE_multi_string(
  'platform', [], "JAX's; by default cpu and the accelerator, where there is one. Repeatable."
)
_CORES = flags.DEFINE_integer('cores', 0, 'That may be used; 0: all.', lower_bound=0)
_ROUNDS = flags.DEFINE_integer('rounds', 10, 'Timed, after one that is not.', lower_bound=1)
_SECONDS = flags.DEFINE_float('seconds', 0.5, 'Of a network in a round.', 0, 60)
_OWN = flags.DEFINE_multi_string(
  'own', [], 'A network of your own in a bundle, as package.module:Class; repeatable.'
)


def main():
  if not _BUNDLE.value:
    raise UserError('no bundle was given; name one or several with --bundle')
  out = workdir.local('--out', _OUT.value)
  _restrict(_CORES.value)
  platforms = _platforms()
  teacher, subjects = _subjects()
  with _writing(out):
    out.mkdir(parents=True, exist_ok=True)
  load, *_ = os.getloadavg()
  measurements = []
  for platform in platforms:
    able = [subject for subject in subjects if platform == 'cpu' or subject.accelerated]
    measurements += measure(able, platform, _BATCH_SIZE.value, _ROUNDS.value, _SECONDS.value)
  columns = outcome.columns(measurements)
  text = f'{_heading(load)}\n\n{sheet.markdown(columns)}\n'
  drawn = outcome.figure(measurements, teacher)
  with _writing(out):
    (out / 'latency.md').write_text(text)
    sheet.save(columns, out / 'latency.csv')
    if drawn:
      drawn.savefig(out / 'latency.png', **SAVING)
  print(text, end='')
  if not drawn:
    print('no card has an accuracy, so latency.png is left out')


@contextlib.contextmanager
def _writing(out):
  """Says in one line why --out cannot be written."""
  try:
    yield
  except OSError as error:
    raise UserError(
      f'--out {str(out)!r} cannot be written: {error.strerror or error}; name another folder'
    ) from error


def _heading(load):
  environment = ', '.join(f'{key} {value}' for key, value in workdir.environment().items())
  return (
    f'Made by `{shlex.join(["python", *sys.argv])}`.\n\n- {environment}; load average at the '
    f'start {load:.1f}.\n- A call takes uint8 images on the host to logits on the host, '
    'normalisation and transfers included. Networks answered in turn, each in a process of its '
    f'own, {_ROUNDS.value} rounds of about {_SECONDS.value:g} s each after one that does not '
    'count.\n- Peak memory is that of the process, with Python, the runtime and what it compiled; '
    "on an accelerator the most of the device's. Size is that of the file that holds the network. "
    'Accuracy is what the cards say.'
  )


def _platforms():
  """Those that are asked for, or all; the first device of each answers."""
  known = list(dict.fromkeys(['cpu', jax.default_backend()]))
  for name in _PLATFORM.value:
    if name not in known:
      raise unknown_name('platform', name, known)
  return list(dict.fromkeys(_PLATFORM.value)) or known


def _subjects():
  """(the teacher's name or None, all subjects with the teacher first, each by another name)."""
  own = tuple(_OWN.value)
  families = models.families(*own)
  loaded = [bundle.load(workdir.local('--bundle', path), families) for path in _BUNDLE.value]
  teacher = _teacher(loaded[0].card, families)
  # A chain's bundles may be given whole, with what taught the first of them.
  others = [one for one in loaded if not teacher or not one.folder.samefile(teacher.folder)]
  subjects = [of_bundle(one, own) for one in ([teacher] if teacher else []) + others]
  subjects += [exported.read(workdir.local('--export', path)) for path in _EXPORT.value]
  folders = collections.Counter(subject.file.parent.resolve() for subject in subjects)
  for folder, times in folders.items():
    if times > 1:
      raise UserError(f'{str(folder)!r} is given {times} times; name each network once')
  count = collections.Counter(subject.name for subject in subjects)
  subjects = [
    subject
    if count[subject.name] == 1
    else dataclasses.replace(subject, name=f'{subject.name}, {subject.file.parent}')
    for subject in subjects
  ]
  return subjects[0].name if teacher else None, subjects


def _teacher(card, families):
  """The teacher's bundle, or None, saying so."""
  known = card.get('training', {}).get('teacher')
  if known is None and not _TEACHER.value:
    return None
  try:
    return bundle.load(workdir.local('--teacher', _TEACHER.value or known['folder']), families)
  except UserError as error:
    if _TEACHER.value:
      raise
    print(f'the teacher is left out: {error}; --teacher says where it is', file=sys.stderr)
    return None


def _restrict(count):
  """Keeps this process, and those that it starts, on so many cores."""
  if not count:
    return
  if not hasattr(os, 'sched_setaffinity'):
    raise UserError('--cores needs Linux; leave it out')
  allowed = sorted(os.sched_getaffinity(0))
  if count > len(allowed):
    raise UserError(f'--cores is {count}; this process may use {len(allowed)}')
  os.sched_setaffinity(0, allowed[:count])


if __name__ == '__main__':
  app.run(main)
