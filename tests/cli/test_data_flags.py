"""Data and bundle are compared by the names of their classes, not by their number alone."""

import pathlib
import types

import pytest

from pidkd_jax.cli import data_flags
from pidkd_jax.cli.commands import evaluate, import_torch
from pidkd_jax.core.errors import UserError
from pidkd_jax.data import noise

DATA = noise.dataset(8, 8, 3)


def give(monkeypatch, **given):
  defaults = {'data_dir': '', 'archive': '', 'verify': None, 'image_size': None, 'crop_ratio': None}
  values = types.SimpleNamespace(**{'data': 'noise', **defaults, **given})
  monkeypatch.setattr(data_flags.flags, 'FLAGS', values)


def load_for(names, monkeypatch, load=lambda known: DATA, crop_ratio=1.0, **card):
  """Return the data for a bundle whose card has these class names; --data names others."""
  monkeypatch.setattr(data_flags, 'load', load)
  known = {'format': 'other', 'image_shape': [8, 8, 3], 'class_names': names, **card}
  model = types.SimpleNamespace(num_classes=3)
  bundle = types.SimpleNamespace(
    card={'dataset': known},
    folder=pathlib.Path('ours'),
    crop_ratio=crop_ratio,
    network=types.SimpleNamespace(model=model),
  )
  return data_flags.load_for(bundle)


def test_the_same_names_in_the_same_order_are_accepted(monkeypatch, capsys):
  give(monkeypatch)
  assert load_for(['0', '1', '2'], monkeypatch) is DATA
  assert not capsys.readouterr().out


def test_classes_without_names_are_taken_by_number_and_that_is_said(monkeypatch, capsys):
  give(monkeypatch)
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
  give(monkeypatch)
  with pytest.raises(UserError) as error:
    load_for(names, monkeypatch)
  assert str(error.value).endswith(says)


@pytest.mark.parametrize(
  'given, says',
  [
    ({'image_size': 8}, 'with --image_size, noise is not what .* leave that out, as the card'),
    ({'image_size': 8, 'crop_ratio': 0.9}, 'with --image_size and --crop_ratio, noise is not'),
    ({}, 'give its archive with --archive'),
  ],
)
def test_another_size_or_crop_of_the_cards_own_data_is_named(given, says, monkeypatch):
  give(monkeypatch, **given)
  known = {'format': 'noise', 'name': 'noise', 'fingerprint': 'f' * 64}
  with pytest.raises(UserError, match=says):
    load_for(['0', '1', '2'], monkeypatch, **known)


def test_data_of_another_size_alone_are_to_be_scaled(monkeypatch):
  give(monkeypatch)
  with pytest.raises(UserError, match=r'has 3 of \[8, 8, 3\]; give --image_size=16$'):
    load_for(['0', '1', '2'], monkeypatch, image_shape=[16, 16, 3])


def test_the_size_and_the_crop_come_from_flag_card_or_default(monkeypatch):
  loaded = {}
  monkeypatch.setattr(data_flags.data, 'load', lambda name, **named: loaded.update(named))
  monkeypatch.setattr(data_flags.free_memory, 'image_limit', lambda: 0)

  def found(known, **named):
    data_flags.load(known, **named)
    return loaded['image_size'], loaded['crop_ratio']

  give(monkeypatch)
  known = {'format': 'noise', 'name': 'noise', 'image_size': 12, 'crop_ratio': 0.75}
  assert found(None) == (0, 1)
  assert found(None, image_size=16, crop_ratio=0.5) == (16, 0.5)
  assert found(known, image_size=16, crop_ratio=0.5) == (12, 0.75)
  give(monkeypatch, image_size=9, crop_ratio=0.25)
  assert found(known) == (9, 0.25)
  give(monkeypatch, crop_ratio=0.9)
  with pytest.raises(UserError, match='--crop_ratio=0.9 needs a size .* give --image_size, e.g.'):
    data_flags.load()


def test_data_that_the_card_does_not_name_are_cut_as_it_says(monkeypatch):
  loaded = []

  def load(known, **named):
    loaded.append(named)
    return DATA

  give(monkeypatch)
  load_for(['0', '1', '2'], monkeypatch, load, crop_ratio=0.5)
  load_for(['0', '1', '2'], monkeypatch, load, crop_ratio=1.0)
  known = {'format': 'noise', 'name': 'noise', 'fingerprint': DATA.spec.fingerprint}
  load_for(['0', '1', '2'], monkeypatch, load, crop_ratio=0.5, **known)
  # The card's own data know their size and crop themselves.
  assert loaded == [{'image_size': 8, 'crop_ratio': 0.5}, {}, {}]


@pytest.mark.parametrize(
  'given, says',
  [
    ({'data': 'image_folder'}, 'no folder of images was given; name it with --archive'),
    ({'data': 'digits', 'image_size': 4}, '--image_size is 4; it must be at least 8'),
    (
      {'data': 'digits', 'image_size': 8, 'crop_ratio': 0.0},
      '--crop_ratio is 0.0; a share above 0',
    ),
  ],
)
def test_a_message_names_the_flags_of_the_command(given, says, monkeypatch):
  give(monkeypatch, **given)
  with pytest.raises(UserError, match=f'^{says}'):
    data_flags.load()


def test_a_card_is_compared_with_figures_of_its_own_images_alone():
  card = {'dataset': {'fingerprint': DATA.spec.fingerprint}, 'results': {'top1': 0.5}}
  assert evaluate._results(card, DATA.spec.fingerprint) == {'top1': 0.5}
  assert evaluate._results(card, 'other') == {}


@pytest.mark.parametrize(
  'given', [{'data_dir': 'tfds'}, {'verify': False}, {'image_size': 0}, {'crop_ratio': 0.0}]
)
def test_a_folder_of_test_images_has_no_flags_of_a_data_set(given, monkeypatch):
  give(monkeypatch, data='', images='photos', **given)
  monkeypatch.setattr(evaluate, 'FLAGS', data_flags.flags.FLAGS)
  with pytest.raises(UserError, match=f'^--images takes .* without --{[*given][0]}; leave that'):
    evaluate._test(None)


@pytest.mark.parametrize(
  ('given', 'says'),
  [
    ({'archive': 'a.zip', 'verify': True}, '--archive and --verify without --data would not be'),
    ({'data_dir': 'tfds'}, '--data_dir without --data would not be read'),
    ({'teacher': 'one', 'image_size': 16}, 'the images of its --teacher; leave out --image_size'),
    ({'teacher': 'one', 'crop_ratio': 0.5}, 'the images of its --teacher; leave out --crop_ratio'),
    ({'crop_ratio': 0.0}, '--crop_ratio is 0; a share above 0'),
    ({'data': 'noise', 'crop_ratio': 0.0}, '--crop_ratio is 0; a share above 0'),
  ],
)
def test_an_import_reads_every_flag_of_the_data_that_is_given(given, says, monkeypatch):
  give(monkeypatch, **{'data': '', 'teacher': '', **given})
  monkeypatch.setattr(import_torch, 'FLAGS', data_flags.flags.FLAGS)
  with pytest.raises(UserError, match=says):
    import_torch.main()
