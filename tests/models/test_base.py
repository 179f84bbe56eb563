"""The contract of a model, for classes that keep it only in part."""

import jax
import jax.numpy as jnp
import pytest

from pidkd_jax import models

IMAGE = jnp.ones((2, 8, 8, 3))


class Neither(models.Model):
  """Defines neither `stages` nor `trunk`, whose defaults call each other."""

  def classify(self, pooled):
    return pooled


class Unclassified(models.Model):
  def stages(self, image, train=False):
    return image, 2 * image


class OnlyStages(Unclassified):
  def classify(self, pooled):
    return pooled


@pytest.mark.parametrize('method', ['__call__', 'encode', 'stages'])
def test_without_stages_and_trunk_it_says_so(method):
  with pytest.raises(NotImplementedError, match='Neither defines neither `stages` nor `trunk`'):
    Neither(num_classes=3).init(jax.random.key(0), IMAGE, method=method)


def test_without_classify_it_says_so():
  with pytest.raises(NotImplementedError, match='Unclassified does not define `classify`'):
    Unclassified(num_classes=3).init(jax.random.key(0), IMAGE)


def test_stages_alone_stand_for_the_maps_before_their_activation_too():
  features = OnlyStages(num_classes=3).apply({}, IMAGE, method='encode')
  assert features.preactivations is features.stages and len(features.stages) == 2
  assert features.target.shape == IMAGE.shape and features.pooled.shape == (2, 3)
