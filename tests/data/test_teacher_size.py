"""A teacher that sees larger images than the students: the same views, resampled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline import augment
from pidkd_jax.data.pipeline.resident_split import ResidentSplit

KEY = jax.random.key(0)


@pytest.fixture(scope='module')
def split():
  images = np.random.default_rng(0).integers(0, 256, (6, 18, 18, 3), np.uint8)
  return ResidentSplit(images, np.arange(6, dtype=np.int32), side=16, size=8)


def batch(split, step, **fields):
  settings = {'batch_size': 3, 'flip': True, 'crop': augment.ResizedCrop()} | fields
  batches = split.batches(Normalisation((0.0,) * 3, (1.0,) * 3), KEY, **settings)
  made = batches.batch(batches.order(0), step)
  assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, batches.shapes)
  return made


def test_a_student_sees_the_teachers_view_resampled(split):
  ours = batch(split, 1)
  assert ours.image.shape == (3, 8, 8, 3) and ours.seen.shape == (3, 16, 16, 3)
  # The teacher's view is that of a training at its size alone.
  alone = batch(split.larger, 1)
  assert alone.larger is None
  np.testing.assert_array_equal(ours.seen, alone.image)
  for large, small in zip(np.asarray(ours.seen), np.asarray(ours.image)):
    wanted = [
      np.asarray(Image.fromarray(large[..., c]).resize((8, 8), Image.Resampling.BILINEAR))
      for c in range(3)
    ]
    np.testing.assert_allclose(small, np.stack(wanted, axis=-1), atol=1e-5)


def test_evaluation_resamples_the_middle(split):
  [small], [large] = split.blocks(6), split.larger.blocks(6)
  assert small.shape == (6, 8, 8, 3) and small.dtype == jnp.uint8
  np.testing.assert_array_equal(large, split.images[:, 1:17, 1:17])
  wanted = Image.fromarray(np.asarray(large)[2]).resize((8, 8), Image.Resampling.BILINEAR)
  np.testing.assert_allclose(np.asarray(small, int)[2], np.asarray(wanted, int), atol=1)


def test_streamed_and_resident_views_are_equal(tmp_path):
  resident, streamed = (
    data.load(
      'digits',
      directory=str(tmp_path),
      image_size=8,
      teacher_size=14,
      crop_ratio=0.875,
      limit=limit,
    )
    for limit in (None, 0)
  )
  spec = resident.spec
  assert (spec.image_shape, spec.teacher_shape) == ((8, 8, 1), (14, 14, 1))
  assert spec.source.endswith('sees the middle 14x14, resampled to 8x8 for students')
  assert spec.fingerprint == streamed.spec.fingerprint
  alone = data.load('digits', directory=str(tmp_path), image_size=14, crop_ratio=0.875)
  assert alone.spec.fingerprint != spec.fingerprint
  index = np.arange(4)
  for ours, theirs in (
    (resident.test.take(index), streamed.test.take(index)),
    (resident.test.take(index).larger, streamed.test.take(index).larger),
    (resident.test.take(index).larger, alone.test.take(index)),
  ):
    np.testing.assert_array_equal(*(next(iter(one.blocks(4))) for one in (ours, theirs)))


@pytest.mark.parametrize('image_size', [0, 16, 20])
def test_students_need_a_smaller_size_of_their_own(tmp_path, image_size):
  with pytest.raises(UserError, match='`teacher_size` is 16 and `image_size` .*; the stud'):
    data.load('digits', directory=str(tmp_path), image_size=image_size, teacher_size=16)
