"""`pidkd predict`: images and folders of them, lines and a CSV file."""

import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from PIL import Image

import pidkd_jax as kd
from pidkd_jax.bundles import bundle, trained_network
from pidkd_jax.cli import app, prediction_output
from pidkd_jax.core.errors import UserError
from pidkd_jax.models.network import Network
from tests.cli import command_flags
from tests.plain import Plain

SHAPE = (8, 8, 1)
CLASSES = ['ant', 'bee', 'cat', 'dog']


@pytest.fixture(scope='module')
def folder(fill, tmp_path_factory):
  model = Plain(num_classes=4)
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *SHAPE)))
  facts = {'name': 'toy', 'class_names': CLASSES, 'image_shape': SHAPE}
  folder = tmp_path_factory.mktemp('predict') / 'plain'
  card = {'dataset': facts | {'mean': (0.5,), 'std': (0.25,)}}
  bundle.save(folder, Network(fill(shapes), model), card)
  return folder


@pytest.fixture
def predict(folder, tmp_path, monkeypatch):
  """A function that runs the command in a folder of its own, with flags and operands."""
  module = command_flags.module('predict')
  defined = app.define(module.define_flags)
  flags.FLAGS.mark_as_parsed()
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(trained_network, 'BATCH_SIZE', 4)

  def predict(*operands, **given):
    for name, value in {'own': ['tests.plain:Plain'], **given}.items():
      setattr(flags.FLAGS, name, value)
    module.main(*operands)

  yield predict
  for flag in defined:
    delattr(flags.FLAGS, flag.name)


@pytest.fixture
def photos(tmp_path):
  """Six images in two folders, and their pixels by name."""
  pixels = {}
  (tmp_path / 'photos' / 'more').mkdir(parents=True)
  for i in range(6):
    name = f'photos/{"more/" if i > 3 else ""}{i}.png'
    pixels[name] = np.random.default_rng(i).integers(0, 256, SHAPE, np.uint8)
    Image.fromarray(pixels[name][..., 0]).save(tmp_path / name)
  return pixels


def rows(path):
  with path.open(newline='') as file:
    return list(csv.DictReader(file))


def test_a_folder_makes_a_csv_of_all_its_images(predict, folder, photos, tmp_path, capsys):
  predict(str(folder), 'photos', top=2)
  found = rows(tmp_path / 'predictions.csv')
  assert [row['file'] for row in found] == list(photos)
  network = kd.load(folder, own=[Plain])
  for row, [(first, p), (second, q)] in zip(
    found, network.top(np.stack(list(photos.values())), k=2), strict=True
  ):
    assert (row['class'], row['class_2'], row['image']) == (first, second, '8x8')
    assert float(row['probability']) == pytest.approx(p, abs=1e-6)
    assert float(row['probability_2']) == pytest.approx(q, abs=1e-6)
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == 'photos: 6 images' and lines[-1] == 'predictions.csv: 6 of 6 images'
  assert lines[1] == 'photos/0.png (8x8)'
  # Once more: it replaces its own file.
  predict(str(folder), 'photos/more', top=2)
  assert len(rows(tmp_path / 'predictions.csv')) == 2
  assert [path.name for path in tmp_path.iterdir() if path.name.startswith('.')] == []


def test_a_folder_below_the_home_is_a_folder_too(predict, folder, photos, tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  predict(str(folder), '~/photos', top=1)
  assert len(rows(tmp_path / 'predictions.csv')) == len(photos)


def test_broken_images_are_named_together_and_the_others_answered(
  predict, folder, photos, tmp_path, capsys
):
  for name in ('photos/a.png', 'photos/more/b.jpg', 'photos/notes.txt'):
    (tmp_path / name).write_text('no image')
  with pytest.raises(
    UserError, match=r'^2 images cannot be used: photos/a.png is not a whole.*b.jpg'
  ):
    predict(str(folder), 'photos', out='answers.csv')
  assert [row['file'] for row in rows(tmp_path / 'answers.csv')] == list(photos)
  out = capsys.readouterr().out
  assert 'photos: 8 images; passed over by their suffix: .txt: 1\n' in out
  assert out.endswith('answers.csv: 6 of 8 images\n')


def test_images_alone_are_printed(predict, folder, photos, tmp_path, capsys):
  predict('photos/0.png', 'photos/1.png', bundle=str(folder), top=1)
  assert not list(tmp_path.glob('*.csv'))
  first, answer, second, _ = capsys.readouterr().out.splitlines()
  assert (first, second) == ('photos/0.png (8x8)', 'photos/1.png (8x8)')
  [[(name, probability)]] = kd.load(folder, own=[Plain]).top(photos['photos/0.png'], k=1)
  assert answer == f'  {100 * probability:6.2f}%  {name}'


def test_a_name_that_is_too_long_is_not_there(predict, folder, photos):
  name = 'a' * 300
  with pytest.raises(
    UserError, match=f"^'{name}' is not there; name JPEG, PNG, .* folders of them"
  ):
    predict(str(folder), 'photos', name)
  with pytest.raises(UserError, match='no --bundle was given, and .* is none; name the folder of'):
    predict(name, 'photos')


def test_an_error_leaves_the_predictions_that_were_there(tmp_path):
  path = tmp_path / 'predictions.csv'
  path.write_text('file,class,probability,image\nkept,ant,1,8x8\n')
  with pytest.raises(KeyboardInterrupt):
    with prediction_output.writing(path, ['a.png'], 1) as write:
      write('a.png', '8x8', [('bee', 0.5)])
      raise KeyboardInterrupt
  assert [row['file'] for row in rows(path)] == ['kept'] and len(list(tmp_path.iterdir())) == 1


def test_many_images_have_a_line_each_that_fits(monkeypatch, tmp_path, capsys):
  monkeypatch.setenv('COLUMNS', '60')
  names = [f'a/long/folder/of/photographs/{i:05}.png' for i in range(25)]
  with prediction_output.writing(tmp_path / 'x.csv', names, 2) as write:
    for name in names:
      write(name, '8x8', [('bee', 0.75), ('a very long name of a class', 0.25)])
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == '…lder/of/photographs/00000.png   75.0% bee'
  assert max(map(len, lines)) <= 60
  assert len(lines) == 21 and lines[-1] == 'and 5 more'
  assert len(rows(tmp_path / 'x.csv')) == 25


def test_a_file_that_is_no_csv_of_predictions_stays(tmp_path):
  (tmp_path / 'thesis.csv').write_text('years')
  with pytest.raises(UserError, match='is there and holds no predictions'):
    prediction_output.check(tmp_path / 'thesis.csv')
  with pytest.raises(UserError, match='aaa.csv. has too long a name; give a shorter one'):
    prediction_output.check(tmp_path / f'{"a" * 240}.csv')
  with pytest.raises(UserError, match='there is no folder'):
    prediction_output.check(tmp_path / 'nope' / 'x.csv')
