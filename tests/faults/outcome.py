"""What a run came to, to the bit."""

import numpy as np

from pidkd_jax.training import journal


def result(folder):
  """Every byte of the bundles' variables, and every figure that is not a time."""
  variables = {}
  for path in sorted(folder.glob('bundles/*/variables.npz')):
    with np.load(path) as file:
      variables |= {f'{path.parent.name}/{name}': file[name].tobytes() for name in file.files}
  figures = [
    {name: value for name, value in row.items() if 'seconds' not in name}
    for row in journal.read(folder)
  ]
  return variables, figures
