"""Parts of the training split: held out, and few shots."""

import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.data import Dataset
from pidkd_jax.data.pipeline.resident_split import ResidentSplit

COUNTS = (2, 7, 20, 101)


@pytest.fixture
def dataset():
  """Four classes of unequal size; an image's pixel is its position in the split."""
  labels = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS)).astype(np.int32)
  images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
  train = ResidentSplit(images, labels)
  spec = DatasetSpec(
    name='toy',
    format='toy',
    archive='',
    source='made up',
    class_names=('a', 'b', 'c', 'd'),
    labels=labels,
    image_shape=(1, 1, 1),
    normalisation=Normalisation((0.5,), (0.5,)),
    padding=0,
    flip=False,
    fingerprint='',
  )
  return Dataset(spec, train, test=train.take(np.arange(3)))


@pytest.mark.parametrize('fraction', [0.001, 0.1, 0.25, 0.5, 0.999])
def test_every_class_gives_its_share(dataset, fraction):
  rest, held = dataset.hold_out(fraction, seed=3)
  for label, count in enumerate(COUNTS):
    share = min(max(round(fraction * count), 1), count - 1)
    assert (held.labels == label).sum() == share
    assert (rest.train.labels == label).sum() == count - share


def test_parts_are_disjoint_and_exhaustive(dataset):
  rest, held = dataset.hold_out(0.3, seed=3)
  places = np.concatenate([rest.train.images.ravel(), held.images.ravel()])
  np.testing.assert_array_equal(np.sort(places), dataset.train.images.ravel())
  for part in rest.train, held:
    np.testing.assert_array_equal(part.labels, dataset.train.labels[part.images.ravel()])


def test_the_spec_describes_the_rest(dataset):
  rest, _ = dataset.hold_out(0.3, seed=3)
  assert rest.spec.num_examples == len(rest.train) < len(dataset.train)
  np.testing.assert_array_equal(rest.spec.labels, rest.train.labels)
  assert rest.test is dataset.test


def test_the_seed_decides(dataset):
  first, again, other = (dataset.hold_out(0.3, seed)[1].images.ravel() for seed in (3, 3, 4))
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)


@pytest.mark.parametrize('fraction', [0, 1, -0.1, 1.5, float('nan')])
def test_a_fraction_out_of_range_is_refused(dataset, fraction):
  with pytest.raises(UserError, match=r'must lie between 0 and 1'):
    dataset.hold_out(fraction, seed=0)


def test_a_class_with_one_image_is_refused(dataset):
  labels = dataset.train.labels
  keep = np.append(np.flatnonzero(labels > 0), np.flatnonzero(labels == 0)[0])
  short = Dataset(dataset.spec, dataset.train.take(keep), dataset.test)
  with pytest.raises(UserError, match=r"class 'a' of toy has 1 training image"):
    short.hold_out(0.1, seed=0)


# --- few shots


@pytest.mark.parametrize('shots', [1, 2])
def test_every_class_keeps_as_many(dataset, shots):
  few = dataset.few_shot(shots, seed=3)
  assert np.bincount(few.train.labels).tolist() == [shots] * 4
  np.testing.assert_array_equal(few.spec.labels, few.train.labels)
  assert few.test is dataset.test


def test_kept_images_stay_in_order(dataset):
  places = dataset.few_shot(2, seed=3).train.images.ravel()
  assert (np.diff(places.astype(int)) > 0).all()
  np.testing.assert_array_equal(
    dataset.few_shot(2, seed=3).train.labels, dataset.train.labels[places]
  )


def test_more_shots_keep_those_of_fewer(dataset):
  large = dataset.train.take(dataset.train.labels > 1)
  large = Dataset(dataset.spec, large, dataset.test)
  kept = [set(large.few_shot(shots, seed=3).train.images.ravel()) for shots in range(1, 21)]
  assert all(fewer < more for fewer, more in zip(kept, kept[1:]))


@pytest.mark.parametrize('shots', [0, -1, 1.5])
def test_shots_that_nobody_can_mean_are_refused(dataset, shots):
  with pytest.raises(UserError, match=f'shots is {shots}; a whole number from 1 up is needed'):
    dataset.few_shot(shots, seed=3)


def test_the_seed_decides_which_are_kept(dataset):
  first, again, other = (dataset.few_shot(1, seed).train.images.ravel() for seed in (3, 3, 4))
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)


def test_a_class_with_fewer_images_is_refused(dataset):
  with pytest.raises(UserError, match=r"shots is 3; class 'a' of toy has 2 training images"):
    dataset.few_shot(3, seed=0)
