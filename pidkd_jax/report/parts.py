"""The parts of a distilled network, as its bundle holds them."""

import collections
from collections.abc import Mapping

from pidkd_jax.core import npz
from pidkd_jax.core.errors import UserError
from pidkd_jax.report.trial import Trial


def parameters(trial: Trial) -> Mapping[str, int]:
  """Return the number of parameters of each module of a trial's network.

  Returns:
    {module: parameters}; those of a distilled student are 'student', 'projectors' and 'teacher',
    of which only the classifier is left. {} where the bundle's variables are not there.

  Raises:
    UserError: The bundle is damaged.
  """
  path = trial.folder / 'bundles' / trial.name / 'variables.npz'
  if not path.exists():
    return {}
  try:
    arrays = npz.read(path)
    if strange := next((name for name in arrays if '/' not in name), None):
      raise ValueError(f'its array {strange!r} is of no module')
  except ValueError as error:
    raise UserError(f'{str(path)!r} is damaged: {error}; copy the run again') from error
  sizes = collections.Counter()
  for name, array in arrays.items():
    collection, module, *_ = name.split('/')
    if collection == 'params':
      sizes[module] += array.size
  return sizes
