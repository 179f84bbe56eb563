"""A whole run of the main job, on random images in the numbers of CIFAR-100.

The caches are those that the part `start` left, which has no program of the teacher's training. The
row says where they were not there, as after a copy without the folder `work`.
"""

import json
import shutil

from benchmarks.gpu.part import Measurements, Part, Place, Row

EPOCHS = {'teacher': 1, 'students': 3}


def measurements(place: Place) -> Measurements:
  """Return the one run."""

  def run() -> Row:
    from benchmarks.gpu import caches, job

    were_full = caches.are_full(place)
    home = place.folder / 'home'
    shutil.rmtree(home, ignore_errors=True)
    command = job.command(
      'cifar100.py',
      home / 'run',
      *job.networks(place),
      *job.data(place),
      f'--config.total_epochs={EPOCHS["students"]}',
      f'--config.teacher.total_epochs={EPOCHS["teacher"]}',
      '--config.precision=bfloat16',
      '--config.teacher.precision=bfloat16',
    )
    seconds, _ = job.finish(command, job.environment(place.caches))
    rows = [json.loads(line) for line in (home / 'run' / 'metrics.jsonl').read_text().splitlines()]
    return {
      **{f'epochs, {who}': count for who, count in EPOCHS.items()},
      'caches of a start': were_full,
      'seconds in all': seconds,
      'compilation, students (s)': sum(row.get('compile_seconds', 0.0) for row in rows),
      'last epoch (s)': rows[-1]['wall_seconds'],
      'bundles': len(list((home / 'run' / 'bundles').iterdir())),
    }

  return {'cifar100': run}


PART = Part('main_job', 'A whole run of the main job', 120, measurements)
