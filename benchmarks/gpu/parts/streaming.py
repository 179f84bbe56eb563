"""An epoch of students whose images stay on disk, beside one with images in memory."""

import functools
import json
import shutil

from benchmarks.gpu.part import Measurements, Part, Place, Row

EPOCHS = 2


def measurements(place: Place) -> Measurements:
  """Return one run of each kind."""

  def run(kind: str) -> Row:
    from benchmarks.gpu import bundles, job

    workdir = place.folder / kind
    shutil.rmtree(workdir, ignore_errors=True)
    command = job.command(
      'cifar100.py',
      workdir,
      *job.networks(place),
      *job.data(place),
      f'--config.teacher.bundle={bundles.teacher(place)}',
      f'--config.total_epochs={EPOCHS}',
      f'--config.eval_every={EPOCHS}',
      '--config.precision=bfloat16',
      f'--config.data.streaming={kind}',
    )
    seconds, _ = job.finish(command, job.environment(place.caches))
    rows = (workdir / 'metrics.jsonl').read_text().splitlines()
    return {'last epoch (s)': json.loads(rows[-1])['wall_seconds'], 'seconds in all': seconds}

  kinds = {'images on disk': 'always', 'images in memory': 'never'}
  return {title: functools.partial(run, kind) for title, kind in kinds.items()}


PART = Part('streaming', 'Streaming', 100, measurements)
