"""`config.deterministic`: equal bundles of two processes, after a kill too, and its price."""

import functools
import hashlib
import json
import pathlib
import re
import shutil

import numpy as np

from benchmarks.gpu.part import Measurements, Part, Place, Row

FLAG = '--xla_gpu_deterministic_ops=true'
# The line at the end of the students' third epoch. The save after the second has waited for that
# after the first, so one checkpoint is on the disk.
THIRD_EPOCH = re.compile('students: epoch 3/')
RESUMED = 'students: goes on at step'


def measurements(place: Place) -> Measurements:
  """Return the measurements; the first run is the reference of the others."""

  def train(name: str, killed: bool = False) -> dict[str, bytes]:
    from benchmarks.gpu import job

    # Bundles of another environment may differ in bits. Determinism promises nothing there.
    environment = json.dumps(place.environment, sort_keys=True)
    home = place.folder / hashlib.sha256(environment.encode()).hexdigest()[:8] / name
    if not list(home.glob('run/bundles/*/variables.npz')):
      shutil.rmtree(home, ignore_errors=True)
      fields = [
        '--config.deterministic',
        '--config.checkpoint_seconds=0',
        '--config.total_epochs=4',
        '--config.teacher.total_epochs=1',
        f'--config.data.dir={place.shared / "tfds"}',
        *job.networks(place),
      ]
      command = job.command('digits.py:pidkd', home / 'run', *fields)
      env = job.environment(place.caches)
      try:
        if killed:
          job.kill_after(THIRD_EPOCH, command, env)
        _, text = job.finish(command, env)
        if killed and RESUMED not in text:
          raise job.Failed('the killed run began anew')
      except job.Failed:
        # Its bundles, if any, are not those of a run that resumed. A retry kills anew.
        shutil.rmtree(home, ignore_errors=True)
        raise
    return _variables(home / 'run')

  reference = functools.cache(lambda: train('first'))

  def equal(name: str, killed: bool) -> Row:
    found, expected = train(name, killed), reference()
    return {'arrays': len(found), 'bit-identical': bool(found) and found == expected}

  return {
    'two processes': lambda: equal('second', killed=False),
    'kill -9 after the third epoch, and resume': lambda: equal('killed', killed=True),
    'a step without the flag': lambda: _step(place, ''),
    f'a step with {FLAG}': lambda: _step(place, FLAG),
  }


def _variables(run: pathlib.Path) -> dict[str, bytes]:
  """Return {bundle and array: bytes} of all bundles of a run."""
  variables = {}
  for path in sorted(run.glob('bundles/*/variables.npz')):
    with np.load(path) as file:
      variables |= {f'{path.parent.name}/{name}': file[name].tobytes() for name in file.files}
  return variables


def _step(place: Place, flag: str) -> Row:
  from benchmarks.gpu import flagged

  # XLA would take what it found by tuning without the flag.
  programs = place.folder / 'programs' if flag else place.programs
  row = flagged.step(place, flag, programs)
  return {name: value for name, value in row.items() if name != 'first call (s)'}


PART = Part('determinism', 'Determinism', 110, measurements)
