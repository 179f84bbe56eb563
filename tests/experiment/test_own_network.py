"""A network of the user's own is checked before it trains."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import pidkd_jax as kd
from pidkd_jax.bundles import bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import own_network, run
from pidkd_jax.models.network import Network
from pidkd_jax.nn import layers
from tests.given import Linear
from tests.plain import Plain


class Fixed(Linear):
  """Its classifier has 12 outputs whatever the data are."""

  def setup(self):
    self.linear = nn.Dense(12)


class OfFlax(Linear):
  """A convolution of Flax, which computes in the type of its parameters."""

  promotion = staticmethod(nn.dtypes.promote_dtype)

  def setup(self):
    self.convolution = nn.Conv(4, (3, 3), promote_dtype=self.promotion)
    self.linear = nn.Dense(self.num_classes)

  def stages(self, image, train=False):
    return (self.convolution(image),)


class OfFlaxPromoted(OfFlax):
  promotion = staticmethod(layers.promote_to_input)


def check(model, dtype):
  own_network.check('it', model, jax.ShapeDtypeStruct((1, 4, 4, 3), dtype), 3)


def test_logits_of_another_width_are_refused():
  check(Linear(num_classes=3), jnp.float32)
  with pytest.raises(UserError, match=r'it gives logits \[1, 12\] .* 3 classes; .*`num_classes`'):
    check(Fixed(num_classes=3), jnp.float32)


@pytest.mark.parametrize(
  ('model', 'dtype', 'warned'),
  [
    (OfFlax, 'bfloat16', True),
    (OfFlaxPromoted, 'bfloat16', False),
    (Plain, 'bfloat16', False),
    (OfFlax, 'float32', False),
  ],
)
def test_maps_that_bfloat16_does_not_reach_are_told(caplog, model, dtype, warned):
  with caplog.at_level(logging.WARNING):
    check(model(num_classes=3), jnp.dtype(dtype))
  assert ('it computes in float32 although precision is bfloat16' in caplog.text) is warned


def test_both_trainings_refuse_before_they_begin(monkeypatch, tmp_path):
  monkeypatch.setattr(run, 'execute', lambda *_: pytest.fail('it trained'))
  rng = np.random.default_rng(0)
  pair = rng.integers(0, 256, (12, 8, 8, 3), np.uint8), np.arange(12) % 3
  data = kd.data.from_arrays(pair, pair)
  with pytest.raises(UserError, match=r'Fixed gives logits \[1, 12\]'):
    kd.train(Fixed, data, epochs=1, batch_size=4)
  model = Plain(num_classes=3)
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
  network = Network(jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes), model)
  card = {'dataset': bundle.dataset_card(data.spec, data.spec.normalisation)}
  teacher = kd.TrainedNetwork(bundle.Bundle(network, card, '', tmp_path))
  with pytest.raises(UserError, match=r'Fixed gives logits \[1, 12\]'):
    kd.distill(teacher, data, student=Fixed, methods='kd_1_1', epochs=1, batch_size=4)


def test_data_that_no_bundle_can_hold_are_refused_before_the_training(monkeypatch):
  monkeypatch.setattr(run, 'execute', lambda *_: pytest.fail('it trained'))
  monkeypatch.setattr(bundle, '_LARGEST_IMAGE', 100)
  pair = np.zeros((12, 8, 8, 3), np.uint8), np.arange(12) % 3
  with pytest.raises(UserError, match='no bundle can hold a network for arrays: its image_shape'):
    kd.train(Linear, kd.data.from_arrays(pair, pair), epochs=1, batch_size=4)
