"""From the command to the end of the students' first step, with empty and with full caches."""

import functools
import shutil

from benchmarks.gpu.part import Measurements, Part, Place, Row


def measurements(place: Place) -> Measurements:
  """Return a start with empty caches, and one with those that it left."""

  def measure(kind: str) -> Row:
    from benchmarks.gpu import bundles, job

    fields = [
      *job.networks(place),
      *job.data(place),
      f'--config.teacher.bundle={bundles.teacher(place)}',
      '--config.precision=bfloat16',
    ]
    caches = place.caches
    if kind == 'empty':
      shutil.rmtree(caches, ignore_errors=True)
    workdir = place.folder / kind
    shutil.rmtree(workdir, ignore_errors=True)
    seconds = job.kill_after(
      job.FIRST_STEP, job.command('cifar100.py', workdir, *fields), job.environment(caches)
    )
    return {'first step after (s)': seconds}

  return {f'{kind} caches': functools.partial(measure, kind) for kind in ('empty', 'full')}


PART = Part('start', 'The start of the main job, with a teacher at hand', 200, measurements)
