"""From the command to the end of the students' first step, with empty and with full caches.

The caches are full where a start has reached the first step in the same environment. Where none
has, as after a copy without the folder `work`, the row 'full caches' makes one more start first.
"""

import functools
import shutil

from benchmarks.gpu.part import Measurements, Part, Place, Row


def measurements(place: Place) -> Measurements:
  """Return a start with empty caches, and one with those that it left."""

  def measure(kind: str) -> Row:
    from benchmarks.gpu import bundles, caches, job

    fields = [
      *job.networks(place),
      *job.data(place),
      f'--config.teacher.bundle={bundles.teacher(place)}',
      '--config.precision=bfloat16',
    ]

    def start() -> float:
      workdir = place.folder / kind
      shutil.rmtree(workdir, ignore_errors=True)
      command = job.command('cifar100.py', workdir, *fields)
      seconds = job.kill_after(job.FIRST_STEP, command, job.environment(place.caches))
      caches.note(place)
      return seconds

    if kind == 'empty':
      shutil.rmtree(place.caches, ignore_errors=True)
    elif not caches.are_full(place):
      start()  # Its time is not a warm one, and is not kept.
    return {'first step after (s)': start()}

  return {f'{kind} caches': functools.partial(measure, kind) for kind in ('empty', 'full')}


PART = Part('start', 'The start of the main job, with a teacher at hand', 150, measurements)
