"""What is computed from every example."""

import numpy as np
import pytest

from pidkd_jax.data import facts
from pidkd_jax.data.arrays import Arrays


@pytest.mark.parametrize('shape', [(1500, 4, 4, 3), (7, 8, 8, 1)])
def test_statistics_are_those_of_numpy(shape):
  images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
  images[..., 0] //= 2
  mean, std = facts.statistics(facts.levels(images))
  np.testing.assert_allclose(mean, (images / 255).mean((0, 1, 2)), rtol=1e-12)
  np.testing.assert_allclose(std, (images / 255).std((0, 1, 2)), rtol=1e-12)


def test_a_channel_that_is_the_same_everywhere_is_divided_by_one():
  images = np.full((2, 3, 3, 2), 51, np.uint8)
  images[0, ..., 1] = 0
  mean, std = facts.statistics(facts.levels(images))
  np.testing.assert_allclose((mean, std), [(0.2, 0.1), (1, 0.1)])


def test_the_fingerprint_changes_with_every_part():
  images, labels = np.zeros((2, 2, 2, 1), np.uint8), np.zeros(2, np.int32)
  other = images.copy()
  other[1, 1, 1, 0] = 1
  split = Arrays(images, labels)
  prints = [
    facts.fingerprint(split, split),
    facts.fingerprint(split),
    facts.fingerprint(split, Arrays(other, labels)),
    facts.fingerprint(Arrays(other, labels), split),
    facts.fingerprint(split, Arrays(images, labels + 1)),
    facts.fingerprint(split, Arrays(images.reshape(2, 4, 1, 1), labels)),
    facts.fingerprint(split, Arrays(images, labels.astype(np.int64))),
  ]
  assert len(set(prints)) == len(prints)
  assert prints[0] == facts.fingerprint(split, Arrays(images.copy(), labels.copy()))
