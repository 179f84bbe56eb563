"""The operations of RandAugment and TrivialAugment, against torchvision's and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.nn.image_operations import BLENDS, NAMES, operate
from pidkd_jax.nn.image_policies import STEPS, RandAugment, TrivialAugment, strong_view
from tests import timm_oracle

SIZE = 24, 22
# Less than all levels and more than 255 pixels: 'autocontrast' and 'equalize' have work.
IMAGES = np.random.default_rng(0).integers(30, 190, (1, *SIZE, 3), np.uint8)
_operate = jax.jit(operate)


def change(name, magnitude, images=IMAGES):
  """One image, changed."""
  operations = jnp.array([NAMES.index(name)])
  return np.asarray(_operate(jnp.asarray(images), operations, jnp.array([magnitude])))


def torchvision():
  """The module of torchvision's policies, or skip."""
  return timm_oracle.load('torchvision.transforms.autoaugment')


def their_name(name):
  special = {'autocontrast': 'AutoContrast'}
  return special.get(name) or ''.join(part.capitalize() for part in name.split('_'))


def theirs(name, magnitude, images):
  import torch

  image = torch.from_numpy(images[0].transpose(2, 0, 1).copy())
  nearest = torchvision().InterpolationMode.NEAREST
  changed = torchvision()._apply_op(image, their_name(name), float(magnitude), nearest, None)
  return changed.numpy().transpose(1, 2, 0)


@pytest.mark.parametrize('channels', [1, 3])
def test_every_operation_is_torchvisions(channels):
  """Blends and stretches may differ by a level, as float32 may fall just below a whole one."""
  images = IMAGES[..., :channels]
  magnitudes = TrivialAugment.magnitudes()
  for place, name in enumerate(NAMES):
    for step, sign in ((4, 1), (17, -1), (30, 1)):
      magnitude = magnitudes[place, step] * (1 if name in ('posterize', 'solarize') else sign)
      ours = change(name, magnitude, images)[0].astype(int)
      gap = np.abs(ours - theirs(name, magnitude, images))
      stretches = name in (*BLENDS, 'autocontrast')
      assert gap.max() <= stretches, (name, magnitude)
      assert step < 30 or name in ('identity', 'color') or (ours != images[0]).any(), name


@pytest.mark.parametrize('wide', [True, False])
def test_the_magnitudes_are_torchvisions(wide):
  policies = torchvision()
  if wide:
    ours = TrivialAugment.magnitudes()
    space = policies.TrivialAugmentWide()._augmentation_space(STEPS)
  else:
    ours = RandAugment.magnitudes(SIZE)
    space = policies.RandAugment()._augmentation_space(STEPS, SIZE)
  assert space.keys() == {their_name(name) for name in NAMES}
  for name, row in zip(NAMES, ours, strict=True):
    np.testing.assert_allclose(row, np.broadcast_to(space[their_name(name)][0], STEPS), atol=1e-5)


def test_each_image_of_a_batch_has_its_own_operation():
  images = np.repeat(IMAGES, len(NAMES), axis=0)
  magnitudes = jnp.full(len(NAMES), 3.0)
  together = np.asarray(_operate(jnp.asarray(images), jnp.arange(len(NAMES)), magnitudes))
  for place, name in enumerate(NAMES):
    np.testing.assert_array_equal(together[place], change(name, 3.0)[0])


def test_operations_by_hand():
  row = np.array([0, 40, 120, 255], np.uint8).reshape(1, 1, 4, 1)
  assert change('translate_x', 1.9, row).ravel().tolist() == [0, 0, 40, 120]
  assert change('translate_x', -2.0, row).ravel().tolist() == [120, 255, 0, 0]
  assert change('rotate', 180.0, row).ravel().tolist() == [255, 120, 40, 0]
  assert change('posterize', 1.0, row).ravel().tolist() == [0, 0, 0, 128]
  assert change('solarize', 120.0, row).ravel().tolist() == [0, 40, 135, 0]
  assert change('brightness', 0.5, row).ravel().tolist() == [0, 60, 180, 255]
  assert change('autocontrast', 0.0, row.clip(40, 120)).ravel().tolist() == [0, 0, 255, 255]
  # A single level has no contrast, and too few pixels cannot be made even.
  for name in ('autocontrast', 'equalize'):
    assert change(name, 0.0, row.clip(40, 40)).ravel().tolist() == [40] * 4


@pytest.mark.parametrize('policy', [RandAugment(2, 9), TrivialAugment()])
def test_a_policy_is_a_function_of_its_key_and_draws_for_each_image(policy):
  images = jnp.asarray(np.repeat(IMAGES, 40, axis=0))
  apply = jax.jit(policy)
  one, again, other = (np.asarray(apply(jax.random.key(seed), images)) for seed in (0, 0, 1))
  np.testing.assert_array_equal(one, again)
  assert one.dtype == np.uint8 and (one != other).any()
  distinct = len(np.unique(one.reshape(40, -1), axis=0))
  assert distinct > 15
  # 'identity' is one of 14 operations, and some of the others do nothing at a low magnitude.
  unchanged = (one == np.asarray(images)).all(axis=(1, 2, 3)).mean()
  assert unchanged < 0.4


def test_both_signs_occur():
  """At its largest magnitude RandAugment brightens some images and darkens others."""
  image = np.full((1, 1, 1, 1), 100, np.uint8)
  apply = jax.jit(RandAugment(1, 30))
  seen = np.unique(apply(jax.random.key(0), jnp.asarray(np.repeat(image, 400, axis=0))))
  assert {10, 190, 100} <= set(seen.tolist())


def test_a_strong_view_starts_from_the_exact_levels():
  normalisation = Normalisation((0.5, 0.4, 0.3), (0.2, 0.25, 0.29))
  images, key = jnp.asarray(IMAGES), jax.random.key(0)
  view = strong_view(key, normalisation(images), normalisation, lambda key, levels: 255 - levels)
  np.testing.assert_array_equal(view, normalisation(255 - images))
