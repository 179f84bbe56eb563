"""A linear classifier on features that stay as they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from pidkd_jax.bundles import bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.evaluation.probe import adapt, probe
from pidkd_jax.models.base import Model
from pidkd_jax.models.network import Network

SHAPE, NORMALISATION = (8, 8, 3), Normalisation((0.5, 0.4, 0.3), (0.3, 0.2, 0.1))


@pytest.fixture(scope='module')
def digits():
  """300 images to learn from and 200 others, 8x8 and gray."""
  loaded = load_digits()
  images = np.rint(loaded.images * (255 / 16)).astype(np.uint8)[..., None]
  split = ResidentSplit(images, loaded.target.astype(np.int32))
  return split.take(np.arange(300)), split.take(np.arange(300, 500))


def test_random_features_know_digits_better_than_chance(teacher, digits):
  before = jax.tree.map(np.array, teacher.variables)
  top1 = probe(teacher, *digits, SHAPE, NORMALISATION)
  assert 0.4 < top1 < 1
  # A second probe gives the same to the last digit, and the network is as it was.
  assert probe(teacher, *digits, SHAPE, NORMALISATION) == top1
  jax.tree.map(np.testing.assert_array_equal, before, teacher.variables)


class Level(Model):
  """A network whose features tell the level of constant images, in steps of 20."""

  blind: bool = False

  def stages(self, image, train=False):
    del train
    level = jnp.round(image[..., 0] / 20).astype(jnp.int32)
    return (jax.nn.one_hot(0 * level if self.blind else level, 6),)

  def classify(self, pooled):
    return pooled


def constant(levels):
  labels = np.asarray(levels, np.int32)
  images = np.broadcast_to(20 * labels[:, None, None, None], (len(labels), 4, 4, 3))
  return ResidentSplit(images.astype(np.uint8), labels)


# It leaves levels as they are.
PLAIN = Normalisation((0.0,) * 3, (1 / 255,) * 3)


@pytest.mark.parametrize('shape', [(4, 4, 3), (8, 2, 3), (2, 2, 1)])
def test_features_that_are_the_classes_leave_nothing_to_ask(shape):
  train, test = constant([0, 1, 2, 3, 4, 5] * 3), constant([5, 4, 3, 2, 1, 0, 0])
  plain = Normalisation(PLAIN.mean[: shape[2]], PLAIN.std[: shape[2]])
  assert probe(Network({}, Level(num_classes=6)), train, test, shape, plain) == 1


def test_features_that_say_nothing_give_the_most_frequent_class():
  train, test = constant([0, 1, 1, 1, 2]), constant([1, 1, 0, 2])
  assert probe(Network({}, Level(num_classes=6, blind=True)), train, test, (4, 4, 3), PLAIN) == 0.5


def test_the_networks_own_statistics_are_taken():
  """At twice the standard deviation the network sees levels 0 and 1, 2 and 3, ... as one."""
  train, test = constant([1, 2, 5] * 5), constant([1, 2, 5])
  network = Network({}, Level(num_classes=6))
  # 1, 2 and 5 halved are 0.5, 1 and 2.5, to the even 0, 1 and 2; shifted by 1: 0, 0.5 and 2.
  halved, shifted = (Normalisation((mean,) * 3, (2 / 255,) * 3) for mean in (0.0, 20 / 255))
  assert probe(network, train, test, (4, 4, 3), halved) == 1
  assert probe(network, train, test, (4, 4, 3), shifted) == pytest.approx(2 / 3)


class Broken(Level):
  def stages(self, image, train=False):
    return (image / 0,)


def test_features_that_are_not_finite_are_refused():
  with pytest.raises(UserError, match='not finite'):
    probe(Network({}, Broken(num_classes=6)), *2 * (constant([1, 2]),), (4, 4, 3), PLAIN)


def images(*rows):
  return jnp.array(rows, jnp.uint8)


def test_images_of_the_right_shape_are_left_alone():
  given = jnp.asarray(constant([1, 2]).images)
  assert adapt(given, (4, 4, 3)) is given


def test_channels_are_repeated_or_averaged():
  gray, colour = images([[[7], [9]]]), images([[[1, 2, 6], [10, 20, 30]]])
  np.testing.assert_array_equal(adapt(gray, (1, 2, 3)), [[[[7] * 3, [9] * 3]]])
  np.testing.assert_array_equal(adapt(colour, (1, 2, 1)), [[[[3], [20]]]])
  with pytest.raises(UserError, match='images of 2 channels cannot be shown to a network for 3'):
    adapt(images([[[1, 2]]]), (1, 1, 3))


def test_sizes_change_by_interpolation():
  # The new pixels lie at -0.25 (the edge), 0.25, 0.75 and 1.25 (the edge) of the old ones.
  wider = adapt(images([[[0], [100]]]), (1, 4, 1))
  np.testing.assert_array_equal(wider[0, 0, :, 0], [0, 25, 75, 100])
  # Halving weighs neighbours by 1/8, 3/8, 3/8, 1/8; at the edge the first is missing.
  narrower = adapt(images([[[0], [0], [0], [160], [0], [0], [0], [0]]]), (1, 4, 1))
  np.testing.assert_array_equal(narrower[0, 0, :, 0], [0, 60, 20, 0])
  # Both directions.
  adapted = adapt(jnp.full((5, 8, 8, 1), 77, jnp.uint8), (3, 5, 3))
  assert adapted.shape == (5, 3, 5, 3) and adapted.dtype == jnp.uint8 and jnp.all(adapted == 77)


def test_the_command_prints_a_row_for_each_bundle(teacher, dataset, tmp_path, environment, forks):
  facts = bundle.dataset_card(dataset, NORMALISATION)
  for name, more in (('one', {'network': 'small'}), ('two', {})):
    bundle.save(tmp_path / name, teacher, {'dataset': facts, **more})
  bundles = [f'--bundle={tmp_path / name}' for name in ('one', 'two')]
  data = ('--data=digits', f'--data_dir={tmp_path / "tfds"}')
  done = forks.run('probe', (*bundles, *data), tmp_path, environment)
  assert done.returncode == 0, done.stderr
  rows = [line.split(' | ') for line in done.stdout.splitlines() if str(tmp_path) in line]
  assert [row[1:3] for row in rows] == [['small', 'toy'], ['ResNet', 'toy']]
  # The two bundles hold one network.
  [first, second] = (float(row[3].rstrip(' |')) for row in rows)
  assert first == second > 40
