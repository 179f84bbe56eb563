"""`pidkd train` on the digits with the smallest networks, its results, and few digits."""

import pathlib
import sys
from unittest import mock

import numpy as np
import sklearn.datasets
import sklearn.utils

from pidkd_jax import data
from pidkd_jax.data.sources import digits as source
from pidkd_jax.training import metrics

ROOT = pathlib.Path(__file__).resolve().parents[1]


def command(folder, data, methods, *more):
  """Return the command line of a run that saves a checkpoint after every step.

  Args:
    folder: of the run.
    data: of TFDS.
    methods: names of methods, separated by commas; pidkd first.
    *more: further arguments.
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


def digits(folder):
  """Prepare the first digits in TFDS's `folder`, 100 for training and 40 for tests."""
  loaded = sklearn.datasets.load_digits()
  few = {name: loaded[name][:140] for name in ('images', 'target')}
  with (
    mock.patch.object(source, 'NUM_TRAIN', 100),
    mock.patch.object(sklearn.datasets, 'load_digits', lambda: sklearn.utils.Bunch(**few)),
  ):
    return data.load('digits', directory=str(folder))


def saving(folder):
  """Return the step whose checkpoint is being written into a run's folder, 0 if none is."""
  steps = (path.name.partition('.')[0] for path in folder.glob('checkpoints/*tmp*'))
  return max((int(step) for step in steps if step.isdigit()), default=0)


def result(folder):
  """Return (the bytes of the bundles' variables, the rows of metrics without times)."""
  variables = {}
  for path in sorted(folder.glob('bundles/*/variables.npz')):
    with np.load(path) as file:
      variables |= {f'{path.parent.name}/{name}': file[name].tobytes() for name in file.files}
  rows = [
    {name: value for name, value in row.items() if 'seconds' not in name}
    for row in metrics.read(folder)
  ]
  return variables, rows
