"""Statistics of all examples."""

import numpy as np
import pytest

from pidkd_jax.core import normalisation
from pidkd_jax.data.pipeline import statistics
from pidkd_jax.data.pipeline.resident_split import ResidentSplit


@pytest.mark.parametrize('shape', [(1500, 4, 4, 3), (7, 8, 8, 1)])
def test_statistics_are_those_of_numpy(shape):
  images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
  images[..., 0] //= 2
  normalisation = statistics.normalisation(statistics.histogram(images))
  mean, std = normalisation.mean, normalisation.std
  np.testing.assert_allclose(mean, (images / 255).mean((0, 1, 2)), rtol=1e-12)
  np.testing.assert_allclose(std, (images / 255).std((0, 1, 2)), rtol=1e-12)


def test_a_channel_that_is_the_same_everywhere_is_divided_by_one():
  images = np.full((2, 3, 3, 2), 51, np.uint8)
  images[0, ..., 1] = 0
  normalisation = statistics.normalisation(statistics.histogram(images))
  mean, std = normalisation.mean, normalisation.std
  np.testing.assert_allclose((mean, std), [(0.2, 0.1), (1, 0.1)])


def test_a_channel_that_is_nearly_the_same_everywhere_is_divided_by_one():
  """Its deviation is below what a bundle takes, so the trained network could not be loaded."""
  counts = np.zeros((1, 256), np.int64)
  counts[0, 7], counts[0, 8] = 2**24, 1
  found = statistics.normalisation(counts)
  assert found.std == (1.0,) and found.mean[0] == pytest.approx(7 / 255)
  counts[0, 8] = 1000
  assert normalisation.LEAST_STD < statistics.normalisation(counts).std[0] < 1e-4


def test_the_fingerprint_changes_with_every_part():
  images, labels = np.zeros((2, 2, 2, 1), np.uint8), np.zeros(2, np.int32)
  other = images.copy()
  other[1, 1, 1, 0] = 1
  split = ResidentSplit(images, labels)
  prints = [
    statistics.fingerprint(split, split),
    statistics.fingerprint(split),
    statistics.fingerprint(split, ResidentSplit(other, labels)),
    statistics.fingerprint(ResidentSplit(other, labels), split),
    statistics.fingerprint(split, ResidentSplit(images, labels + 1)),
    statistics.fingerprint(split, ResidentSplit(images.reshape(2, 4, 1, 1), labels)),
    statistics.fingerprint(split, ResidentSplit(images, labels.astype(np.int64))),
  ]
  assert len(set(prints)) == len(prints)
  assert prints[0] == statistics.fingerprint(split, ResidentSplit(images.copy(), labels.copy()))
