"""Data and bundle are compared by the names of their classes, not by their number alone."""

import pathlib
import types

import pytest

from pidkd_jax.cli import data_flags
from pidkd_jax.cli.commands import evaluate
from pidkd_jax.core.errors import UserError
from pidkd_jax.data import noise

DATA = noise.dataset(8, 8, 3)


def load_for(names, monkeypatch):
  """Return the data for a bundle whose card has these class names; --data names others."""
  monkeypatch.setattr(data_flags.flags, 'FLAGS', types.SimpleNamespace(data='noise'))
  monkeypatch.setattr(data_flags, 'load', lambda known: DATA)
  known = {'format': 'other', 'image_shape': [8, 8, 3], 'class_names': names}
  model = types.SimpleNamespace(num_classes=3)
  bundle = types.SimpleNamespace(
    card={'dataset': known},
    folder=pathlib.Path('ours'),
    network=types.SimpleNamespace(model=model),
  )
  return data_flags.load_for(bundle)


def test_the_same_names_in_the_same_order_are_accepted(monkeypatch, capsys):
  assert load_for(['0', '1', '2'], monkeypatch) is DATA
  assert not capsys.readouterr().out


def test_classes_without_names_are_taken_by_number_and_that_is_said(monkeypatch, capsys):
  assert load_for(None, monkeypatch) is DATA
  assert 'ours names no classes; they are taken to be those of noise' in capsys.readouterr().out


@pytest.mark.parametrize(
  'names, says',
  [
    (['0', '2', '1'], "they have another order (class 1 is '2' and '1'); --data says another"),
    (['ant', '1', '2'], "they have other names (class 0 is 'ant' and '0'); --data says another"),
  ],
)
def test_other_names_or_another_order_are_refused(names, says, monkeypatch):
  with pytest.raises(UserError) as error:
    load_for(names, monkeypatch)
  assert str(error.value).endswith(says)


def test_a_card_is_compared_with_figures_of_its_own_images_alone():
  card = {'dataset': {'fingerprint': DATA.spec.fingerprint}, 'results': {'top1': 0.5}}
  assert evaluate._results(card, DATA.spec.fingerprint) == {'top1': 0.5}
  assert evaluate._results(card, 'other') == {}
