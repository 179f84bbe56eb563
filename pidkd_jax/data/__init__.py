"""Datasets by name or from arrays, their splits in memory or on disk, and training batches.

Every named dataset comes by way of TFDS, and none needs TensorFlow:

  >>> from pidkd_jax import data
  >>> digits = data.load('digits')  # doctest: +SKIP
  >>> digits.test.images[:8].shape  # doctest: +SKIP
  (8, 8, 8, 1)

Your own images come as a folder (`load('image_folder', archive=folder)`) or as arrays
(`from_arrays`). Named datasets need the extra `train`; arrays do not.
"""

from typing import TYPE_CHECKING

from pidkd_jax.core import lazy
from pidkd_jax.data.arrays import from_arrays
from pidkd_jax.data.dataset import Dataset

if TYPE_CHECKING:
  from pidkd_jax.data.loading import load, names, published

__all__ = ['Dataset', 'from_arrays', 'load', 'names', 'published']

# TFDS is imported when they are used.
__getattr__, __dir__ = lazy.attach(
  __name__, {name: f'pidkd_jax.data.loading:{name}' for name in ('load', 'names', 'published')}
)
