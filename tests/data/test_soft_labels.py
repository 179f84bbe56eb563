"""Smoothed labels, mixup and CutMix, against what is computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.data import noise
from pidkd_jax.data.pipeline.soft_labels import MASKS, SoftLabels
from pidkd_jax.nn import losses

LABEL = jnp.array([0, 2, 1, 1])
HOT = np.eye(3)[np.asarray(LABEL)]
# Each image has a channel of its own, so a pixel tells the weights of the images it comes from.
IMAGE = jnp.eye(4)[:, None, None, :] * jnp.ones((8, 6, 1))


def test_smoothing_spreads_a_share_over_all_classes():
  image, soft = SoftLabels(4, smoothing=0.2)(jax.random.key(0), IMAGE, LABEL)
  np.testing.assert_array_equal(image, IMAGE)
  np.testing.assert_allclose(soft[1], [0.05, 0.05, 0.85, 0.05], rtol=1e-6)


def test_the_cross_entropy_of_probabilities_is_the_mean_over_them():
  logits = jnp.log(jnp.array([[0.5, 0.25, 0.25]]))
  found = losses.cross_entropy(logits, jnp.array([[0.8, 0.2, 0.0]]))
  np.testing.assert_allclose(found, [0.8 * np.log(2) + 0.2 * np.log(4)], rtol=1e-6)
  one_hot = losses.cross_entropy(logits, jnp.array([[0.0, 1.0, 0.0]]))
  np.testing.assert_allclose(one_hot, losses.cross_entropy(logits, jnp.array([1])), rtol=1e-6)


def _check(image, soft):
  """Check that a batch is a mixture of two images each, and its labels too; return the weights."""
  weights = np.asarray(image, np.float64).mean(axis=(1, 2))
  np.testing.assert_allclose(soft, weights @ HOT, atol=1e-6)
  # Every image is the partner of one.
  np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-6)
  own = weights.diagonal()
  np.testing.assert_allclose(own[own < 1], own.min(), atol=1e-6)
  return weights


@pytest.mark.parametrize('seed', range(3))
def test_mixup_weighs_all_pixels_alike(seed):
  image, soft = SoftLabels(3, mixup=1.0)(jax.random.key(seed), IMAGE, LABEL)
  _check(image, soft)
  np.testing.assert_array_equal(image, jnp.broadcast_to(image[:, :1, :1], IMAGE.shape))


def test_the_share_has_the_distribution_of_its_alpha():
  """Beta(a, a) has the variance 1 / (4 (2 a + 1))."""
  apply = jax.jit(jax.vmap(SoftLabels(3, mixup=0.5), (0, None, None)))
  image, _ = apply(jax.random.split(jax.random.key(0), 2000), IMAGE[:, :1, :1], LABEL)
  own = np.diagonal(np.asarray(image)[:, :, 0, 0], axis1=1, axis2=2)
  share = own.min(axis=1)[own.min(axis=1) < 1]
  assert abs(share.mean() - 0.5) < 0.03 and abs(share.var() - 1 / 8) < 0.01


def test_a_box_has_the_partners_share_of_the_area_and_the_images_aspect():
  key = jax.random.key(2)
  masks = [MASKS['cutmix'](k, (40, 20), jnp.float32(0.75)) for k in jax.random.split(key, 20)]
  whole = [mask for mask in masks if mask.mean() == 0.75]
  assert whole  # The others are cut off by an edge.
  rows, columns = np.nonzero(np.asarray(whole[0]) == 0)
  assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 10)
  assert all(0.75 <= mask.mean() < 1 for mask in masks)
  assert len({tuple(np.argwhere(np.asarray(mask) == 0)[0]) for mask in masks}) > 10


def test_the_extreme_boxes():
  empty, whole = (MASKS['cutmix'](jax.random.key(0), (8, 8), jnp.float32(x)) for x in (1, 0))
  assert empty.mean() == 1
  # At least a quarter of a box as large as the image lies within it.
  assert whole.mean() <= 3 / 4


def test_cutmix_weighs_the_labels_by_the_exact_area():
  image, soft = SoftLabels(3, cutmix=1.0)(jax.random.key(1), IMAGE, LABEL)
  weights = _check(image, soft)
  assert set(np.unique(image)) == {0.0, 1.0}
  assert 0 < weights.diagonal().min() < 1


def test_with_both_each_batch_takes_either():
  apply = jax.jit(SoftLabels(3, mixup=1.0, cutmix=1.0))
  images = [apply(jax.random.key(seed), IMAGE, LABEL)[0] for seed in range(12)]
  cut = [set(np.unique(image)) <= {0.0, 1.0} for image in images]
  assert 0 < sum(cut) < 12


def test_batches_are_mixed_by_seed_and_step_and_cropped_as_without():
  data = noise.dataset(24, 8, 3)

  def batch(step, **options):
    found = data.train.batches(
      data.spec.normalisation, jax.random.key(0), batch_size=4, padding=1, flip=True, **options
    )
    return found.batch(found.order(jnp.int32(0)), jnp.int32(step))

  plain, mixed = batch(1), batch(1, soft_labels=SoftLabels(3, mixup=1.0))
  assert plain.soft is None and plain.target is plain.label
  np.testing.assert_array_equal(plain.label, mixed.label)
  np.testing.assert_array_equal(plain.index, mixed.index)
  again = batch(1, soft_labels=SoftLabels(3, mixup=1.0))
  np.testing.assert_array_equal(mixed.image, again.image)
  assert mixed.target.shape == (4, 3) and not np.array_equal(plain.image, mixed.image)
  # A mixture keeps the mean of a batch, as each image is the partner of one.
  np.testing.assert_allclose(mixed.image.mean(axis=0), plain.image.mean(axis=0), atol=1e-5)
  smooth = batch(1, soft_labels=SoftLabels(3, smoothing=0.3))
  np.testing.assert_array_equal(plain.image, smooth.image)
  np.testing.assert_allclose(smooth.soft.max(axis=1), 0.8, rtol=1e-6)
