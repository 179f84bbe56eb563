"""The main job on the digits with the smallest networks, and what it comes to."""

import pathlib
import sys

import numpy as np

from pidkd_jax.training import metrics

ROOT = pathlib.Path(__file__).resolve().parents[1]


def command(folder, data, methods, *more):
  """The command line of a run that saves a checkpoint after every step.

  Args:
    folder: the run's.
    data: TFDS's folder.
    methods: by commas, pidkd first.
    *more: arguments.
  """
  return [
    sys.executable,
    str(ROOT / 'scripts' / 'main.py'),
    f'--config={ROOT / "configs" / "digits.py"}:{methods}',
    f'--workdir={folder}',
    '--config.student=resnet8*0.25',
    '--config.method.num_projectors=2',
    '--config.method.factor=8',
    '--config.batch_size=128',
    '--config.checkpoint_seconds=0',
    '--config.teacher.model=resnet8*0.25',
    '--config.teacher.batch_size=128',
    '--config.teacher.total_epochs=1',
    f'--config.data.dir={data}',
    *more,
  ]


def saving(folder):
  """The step whose checkpoint is being written into a run's folder, 0 if none is."""
  steps = (path.name.partition('.')[0] for path in folder.glob('checkpoints/*tmp*'))
  return max((int(step) for step in steps if step.isdigit()), default=0)


def result(folder):
  """Every byte of the bundles' variables, and every figure that is not a time."""
  variables = {}
  for path in sorted(folder.glob('bundles/*/variables.npz')):
    with np.load(path) as file:
      variables |= {f'{path.parent.name}/{name}': file[name].tobytes() for name in file.files}
  figures = [
    {name: value for name, value in row.items() if 'seconds' not in name}
    for row in metrics.read(folder)
  ]
  return variables, figures
