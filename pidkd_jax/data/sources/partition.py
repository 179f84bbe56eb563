"""A split of images into training and test images, where a user has made none."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pidkd_jax.core.errors import UserError, listed
from pidkd_jax.core.image import File

# A fifth of each class is tested on.
PARTS = 5
SEED = 0

Classes = Mapping[str, Sequence[File]]


def stratified(root: Path, images: Classes) -> dict[str, dict[str, list[File]]]:
  """Split images at random, class by class.

  A class of n images gives round(n / 5) of them to the test split. It gives at least one and keeps
  at least one. The same images are always split alike.

  Args:
    root: where they come from, for messages.
    images: {class: paths}, paths in order.

  Returns:
    {'train' or 'test': {class: paths}}, in the order of `images`.

  Raises:
    UserError: classes have one image.

  Example:
    >>> parts = stratified(Path('photos'), {'cat': [Path(f'{i}.png') for i in range(10)]})
    >>> len(parts['train']['cat']), len(parts['test']['cat'])
    (8, 2)
  """
  if single := [name for name, paths in images.items() if len(paths) < 2]:
    raise UserError(
      f'{root}: a split needs 2 images of each class, and there is one of {listed(single)}; add'
      ' some, or split the images yourself (train/CLASS/IMAGE and test/CLASS/IMAGE)'
    )
  random = np.random.default_rng(SEED)
  parts = {'train': {}, 'test': {}}
  for name, paths in images.items():
    tested = np.zeros(len(paths), bool)
    tested[random.permutation(len(paths))[: max(round(len(paths) / PARTS), 1)]] = True
    for part, mask in ('train', ~tested), ('test', tested):
      parts[part][name] = [paths[i] for i in np.flatnonzero(mask).tolist()]
  return parts


def summary(parts: Mapping[str, Classes]) -> str:
  """Return a line on such a split, for reports."""
  train, test = (sum(map(len, parts[part].values())) for part in ('train', 'test'))
  return f'split at random by the seed {SEED} into {train:,} for training and {test:,} for the test'
