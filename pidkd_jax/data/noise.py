"""Random images in place of a dataset, to measure what does not depend on the images."""

import numpy as np

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.pipeline.resident_split import ResidentSplit


def dataset(size: int, image_size: int, num_classes: int) -> Dataset:
  """Return a dataset of random images, the same ones for the same arguments.

  The training split and the test split are the same images.

  Args:
    size: N.
    image_size: H = W.
    num_classes: K.
  """
  random = np.random.default_rng(0)
  split = ResidentSplit(
    random.integers(0, 256, (size, image_size, image_size, 3), np.uint8),
    random.integers(0, num_classes, size, np.int32),
  )
  spec = DatasetSpec(
    name='noise',
    format='',
    archive='',
    source='random numbers',
    class_names=tuple(map(str, range(num_classes))),
    labels=split.labels,
    image_shape=split.image_shape,
    normalisation=Normalisation((0.5,) * 3, (0.29,) * 3),
    padding=4,
    flip=True,
    fingerprint='',
  )
  return Dataset(spec, split, split)
