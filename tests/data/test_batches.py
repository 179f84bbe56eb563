"""Training batches as a function of (seed, step), and their augmentation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline import augment, resident_batches
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.data.pipeline.schedule import Schedule
from pidkd_jax.nn.image_policies import TrivialAugment

SIZE, SIDE = 23, 6
MEAN, STD = (0.5, 0.25, 0.1), (0.3, 0.2, 0.5)


@pytest.fixture(scope='module')
def arrays():
  rng = np.random.default_rng(0)
  return ResidentSplit(
    rng.integers(1, 256, (SIZE, SIDE, SIDE, 3), np.uint8),
    rng.integers(0, 5, SIZE).astype(np.int32),
  )


def stream(arrays, seed=0, *, batch_size=4, padding=2, flip=True, policy=None):
  return arrays.batches(
    Normalisation(MEAN, STD),
    jax.random.key(seed),
    batch_size=batch_size,
    padding=padding,
    flip=flip,
    policy=policy,
  )


def pixels(image):
  """Return the uint8 image before normalisation."""
  return np.rint((np.asarray(image) * np.array(STD) + np.array(MEAN)) * 255).astype(np.uint8)


def run(source, steps):
  """Return the batches of some steps, each with its epoch's order."""
  batches = []
  for step in steps:
    order = source.order(jnp.int32(step // source.steps_per_epoch))
    batches.append(source.batch(order, jnp.int32(step)))
  return batches


# --- order


def test_each_epoch_is_another_permutation(arrays):
  source, other = stream(arrays), stream(arrays, seed=1)
  orders = [np.asarray(source.order(jnp.int32(epoch))) for epoch in range(5)]
  orders += [np.asarray(other.order(jnp.int32(epoch))) for epoch in range(5)]
  for order in orders:
    assert sorted(order) == list(range(SIZE))
  assert len({order.tobytes() for order in orders}) == 10


def test_order_and_augmentation_share_no_key(arrays, monkeypatch):
  """Of the epochs and steps with equal numbers, too."""
  keys, fold_in = [], Schedule._key

  def record(self, purpose, count):
    keys.append(fold_in(self, purpose, count))
    return keys[-1]

  monkeypatch.setattr(Schedule, '_key', record)
  with jax.disable_jit():
    run(stream(arrays), range(4))
  assert len(keys) == 8  # An order, and an augmentation, for each of four steps of one epoch.
  assert len({jax.random.key_data(key).tobytes() for key in keys}) == 5


def test_an_epoch_is_the_full_batches_of_its_order(arrays):
  source = stream(arrays)
  assert source.steps_per_epoch == 5
  order = np.asarray(source.order(jnp.int32(2)))
  index = np.concatenate([batch.index for batch in run(source, range(10, 15))])
  np.testing.assert_array_equal(index, order[:20])


def test_what_one_epoch_drops_another_shows(arrays):
  source = stream(arrays)
  dropped = [set(np.asarray(source.order(jnp.int32(epoch)))[20:].tolist()) for epoch in range(8)]
  assert not set.intersection(*dropped)


def test_a_batch_is_a_function_of_seed_and_step(arrays):
  policy = TrivialAugment()
  in_sequence = run(stream(arrays, policy=policy), range(12))
  for step in (11, 0, 7):
    [alone] = run(stream(arrays, policy=policy), [step])
    jax.tree.map(np.testing.assert_array_equal, alone, in_sequence[step])
  [other] = run(stream(arrays, seed=1), [7])
  assert not np.array_equal(other.index, in_sequence[7].index)
  images = {np.asarray(batch.image).tobytes() for batch in in_sequence}
  assert len(images) == 12


def test_the_augmentation_of_one_image_changes_from_step_to_step(arrays):
  one = ResidentSplit(arrays.images[:1], arrays.labels[:1])
  batches = run(stream(one, batch_size=1), range(12))
  assert len({np.asarray(batch.image).tobytes() for batch in batches}) > 6


def test_one_epoch_has_many_crops_and_both_flips(arrays):
  """Each step of an epoch draws anew: of one image, crops and flips are seen apart."""
  one = ResidentSplit(arrays.images[:1].repeat(12, axis=0), arrays.labels[:1].repeat(12))
  for chosen, least in ({'padding': 2, 'flip': False}, 5), ({'padding': 0, 'flip': True}, 2):
    batches = run(stream(one, batch_size=1, **chosen), range(12))
    assert len({np.asarray(batch.image).tobytes() for batch in batches}) >= least


def test_all_steps_share_one_compiled_batch(arrays):
  before = resident_batches.ResidentBatches.batch._cache_size()
  run(stream(arrays, batch_size=3), range(4))
  run(stream(arrays, seed=5, batch_size=3), range(4))
  assert resident_batches.ResidentBatches.batch._cache_size() == before + 1


# --- content


def test_labels_and_index_belong_to_the_images(arrays):
  for batch in run(stream(arrays, padding=0, flip=False), (0, 3, 9)):
    np.testing.assert_array_equal(pixels(batch.image), arrays.images[batch.index])
    np.testing.assert_array_equal(batch.label, arrays.labels[batch.index])
    assert batch.image.dtype == jnp.float32
    assert batch.label.dtype == batch.index.dtype == jnp.int32


def test_each_image_of_a_batch_is_its_own_crop_perhaps_mirrored(arrays):
  seen = set()
  for batch in run(stream(arrays), range(12)):
    for image, index in zip(pixels(batch.image), batch.index, strict=True):
      [placement] = placements(image, arrays.images[index], 2)
      seen.add(placement)
  assert {mirrored for *_, mirrored in seen} == {False, True}
  assert {top for top, *_ in seen} == {left for _, left, _ in seen} == set(range(5))


def placements(image, original, padding):
  """Return all (top, left, mirrored) where `image` is a window of the zero-padded original."""
  padded = np.pad(original, ((padding, padding), (padding, padding), (0, 0)))
  return [
    (top, left, mirrored)
    for top in range(2 * padding + 1)
    for left in range(2 * padding + 1)
    for mirrored in (False, True)
    if np.array_equal(
      image[:, ::-1] if mirrored else image, padded[top : top + SIDE, left : left + SIDE]
    )
  ]


def test_a_dataset_of_letters_is_never_mirrored(arrays):
  for batch in run(stream(arrays, flip=False), range(6)):
    for image, index in zip(pixels(batch.image), batch.index, strict=True):
      assert [mirrored for *_, mirrored in placements(image, arrays.images[index], 2)] == [False]


def test_a_policy_changes_the_crops_with_a_key_of_its_own(arrays):
  """Operations join crops and flips, which stay as they are without."""
  keys = []

  def invert(key, images):
    keys.append(key)
    return 255 - images

  [plain] = run(stream(arrays), [7])
  with jax.disable_jit():
    source = stream(arrays, policy=invert)
    [changed, other] = run(source, [7, 8])
  np.testing.assert_array_equal(pixels(changed.image), 255 - pixels(plain.image))
  np.testing.assert_array_equal(changed.label, plain.label)
  crop_key = source.schedule._key(1, jnp.int32(7))
  drawn = [jax.random.key_data(key).tobytes() for key in (*keys, crop_key)]
  assert len(set(drawn)) == 3


# --- augmentation alone


def test_every_corner_occurs_about_as_often(arrays):
  images = jnp.broadcast_to(jnp.asarray(arrays.images[0]), (900, SIDE, SIDE, 3))
  cropped = augment.PaddedCrop(1)(jax.random.key(0), images, (SIDE, SIDE))
  assert cropped.shape == images.shape and cropped.dtype == jnp.uint8
  counts = {}
  for image in np.asarray(cropped):
    [(top, left, mirrored)] = placements(image, arrays.images[0], 1)
    assert not mirrored
    counts[top, left] = counts.get((top, left), 0) + 1
  assert len(counts) == 9 and min(counts.values()) > 60 and max(counts.values()) < 140


def test_a_crop_without_padding_is_the_image(arrays):
  images = jnp.asarray(arrays.images)
  np.testing.assert_array_equal(
    augment.PaddedCrop(0)(jax.random.key(0), images, (SIDE, SIDE)), images
  )


def test_half_of_the_images_are_mirrored_each_as_a_whole(arrays):
  images = jnp.broadcast_to(jnp.asarray(arrays.images[0]), (400, SIDE, SIDE, 3))
  flipped = np.asarray(augment.flip(jax.random.key(0), images))
  mirrored = [np.array_equal(image, arrays.images[0][:, ::-1]) for image in flipped]
  plain = [np.array_equal(image, arrays.images[0]) for image in flipped]
  assert all(a != b for a, b in zip(mirrored, plain))
  assert 150 < sum(mirrored) < 250


def test_the_same_flip_twice_restores_the_images(arrays):
  images, key = jnp.asarray(arrays.images), jax.random.key(3)
  once = augment.flip(key, images)
  assert not np.array_equal(once, images)
  np.testing.assert_array_equal(augment.flip(key, once), images)


def test_normalisation_by_hand():
  images = jnp.array([0, 51, 255], jnp.uint8).reshape(1, 1, 1, 3)
  normalised = Normalisation((0.5, 0.1, 0.25), (0.5, 0.2, 0.25))(images)
  assert normalised.dtype == jnp.float32
  np.testing.assert_allclose(normalised.ravel(), [-1, 0.5, 3], rtol=1e-6)
