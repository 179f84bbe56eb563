"""A bundle in use, from Python and from the command line."""

import os
import re
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

import pidkd_jax
from pidkd_jax.bundles import bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.evaluation import inference
from pidkd_jax.models.network import Network
from tests.plain import Plain
from tests.small import ROOT

SHAPE = (6, 8, 3)
DATASET = {
  'name': 'toy',
  'class_names': ['ant', 'bee', 'cat', 'dog'],
  'image_shape': SHAPE,
  'mean': (0.5, 0.4, 0.3),
  'std': (0.3, 0.2, 0.1),
}


@pytest.fixture(scope='module')
def network(fill):
  model = Plain(num_classes=4)
  return Network(fill(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *SHAPE)))), model)


@pytest.fixture(scope='module')
def folder(network, tmp_path_factory):
  folder = tmp_path_factory.mktemp('use') / 'plain'
  bundle.save(folder, network, {'dataset': DATASET})
  return folder


@pytest.fixture(scope='module')
def student(folder):
  return pidkd_jax.load(str(folder), own=[Plain])


@pytest.fixture(scope='module')
def images():
  return np.random.default_rng(0).integers(0, 256, (258, *SHAPE), np.uint8)


def test_it_predicts_what_an_evaluation_finds(student, network, images):
  labels = np.zeros(len(images), np.int32)
  split = inference.eval_batches(
    ResidentSplit(images, labels), Normalisation(DATASET['mean'], DATASET['std'])
  )
  expected = softmax(inference.logits(network, split), axis=-1)
  found = student.predict(images)  # A whole batch and a rest of two.
  assert found.dtype == np.float32 and found.shape == (258, 4)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
  # They differ, so that an exchange of images or classes would show.
  assert np.ptp(expected, axis=0).min() > 0.1
  np.testing.assert_allclose(student.predict(images[:3]), found[:3], rtol=1e-4, atol=1e-6)
  one = student.predict(images[0])
  assert one.shape == (4,)
  np.testing.assert_allclose(one, found[0], rtol=1e-4, atol=1e-6)
  assert student.predict(images[:0]).shape == (0, 4)


@pytest.mark.parametrize('dtype', [np.float32, np.float64, np.float16])
def test_scaled_pixels_are_the_same_images(student, images, dtype):
  scaled = (images[:3] / 255).astype(dtype)
  tolerance = 0.02 if dtype == np.float16 else 1e-5
  np.testing.assert_allclose(student.predict(scaled), student.predict(images[:3]), atol=tolerance)


def test_the_likeliest_come_first_with_their_names(student, images):
  probabilities = student.predict(images[:3])
  best = student.top(images[:3], k=2)
  for row, [(first, p), (second, q)] in zip(probabilities, best, strict=True):
    i, j = student.class_names.index(first), student.class_names.index(second)
    assert (row[i], row[j]) == (pytest.approx(p), pytest.approx(q))
    assert row[i] >= row[j] >= max(np.delete(row, [i, j]))
  assert [[name for name, _ in one] for one in student.top(images[0], k=9)] == [
    [student.class_names[i] for i in np.argsort(-probabilities[0])]
  ]


def test_an_evaluation_of_arrays_and_of_a_folder_is_that_of_the_split(student, images, tmp_path):
  labels = np.arange(8) % 4
  best = student.predict(images[:8]).argmax(axis=-1)
  found = student.evaluate(images[:8], labels)
  assert found['top1'] == np.mean(best == labels) and found['top5'] == 1
  for number, image in enumerate(images[:8]):
    path = tmp_path / DATASET['class_names'][number % 4] / f'{number}.png'
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(image).save(path)
  of_folder = student.evaluate(tmp_path)
  assert of_folder == pytest.approx(found)
  with pytest.raises(UserError, match='no labels were given'):
    student.evaluate(images[:8])


def test_classes_without_names_have_numbers(network, tmp_path):
  bundle.save(tmp_path / 'nameless', network, {'dataset': DATASET | {'class_names': None}})
  assert pidkd_jax.load(tmp_path / 'nameless', own=[Plain]).class_names == ('0', '1', '2', '3')


def test_an_evaluation_of_no_image_is_refused(student):
  with pytest.raises(UserError, match=r'there are 0 images, and the labels are \[0\]'):
    student.evaluate([], [])


def test_the_folder_of_an_export_stays(student, tmp_path):
  for name in ('manifest.json', 'model.onnx'):
    (tmp_path / name).write_text('')
  with pytest.raises(UserError, match='is there already and is no bundle'):
    student.save(tmp_path)
  assert sorted(path.name for path in tmp_path.iterdir()) == ['manifest.json', 'model.onnx']


def test_a_home_of_nobody_is_refused(student):
  nobody = '~nobody-of-that-name/x'
  for call in (pidkd_jax.load, student.save, student.evaluate):
    with pytest.raises(UserError, match='there is no such user'):
      call(nobody)
  with pytest.raises(UserError, match='not there'):
    student.predict(nobody)


def test_the_folder_in_which_one_stands_is_replaced(folder, tmp_path, monkeypatch):
  place = shutil.copytree(folder, tmp_path / 'bundle')
  before = (place / 'card.json').stat().st_ino
  monkeypatch.chdir(place)
  network = pidkd_jax.load('.', own=[Plain])
  network.save('.')
  assert network.bundle.folder == place and (place / 'card.json').stat().st_ino != before
  assert pidkd_jax.load(place, own=[Plain]).bundle.digest == network.bundle.digest
  assert [path.name for path in tmp_path.iterdir()] == ['bundle']


def test_a_file_may_begin_with_a_tilde(student, images, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  Image.fromarray(images[0]).save('~1.png')
  np.testing.assert_allclose(student.predict('~1.png'), student.predict(images[0]), rtol=1e-5)


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='there are no pipes here')
def test_nothing_is_read_from_a_pipe(student, tmp_path):
  os.mkfifo(tmp_path / 'pipe.png')
  pipe = os.open(tmp_path / 'pipe.png', os.O_RDWR | os.O_NONBLOCK)
  try:
    os.write(pipe, bytes(25))
    with pytest.raises(UserError, match='no regular file'):
      student.predict(tmp_path / 'pipe.png')
    assert os.read(pipe, 25) == bytes(25)
  finally:
    os.close(pipe)


@pytest.mark.parametrize(
  ('images', 'says'),
  [
    (np.zeros((2, 8, 6, 3), np.uint8), 'images are [2, 8, 6, 3]; [N, 6, 8, 3] is needed'),
    (np.zeros((6, 8), np.uint8), 'images are [6, 8]'),
    (np.zeros((1, 1, *SHAPE), np.uint8), 'images are [1, 1, 6, 8, 3]'),
    (np.zeros(SHAPE, np.int64), 'images are int64; make them uint8'),
    (np.full(SHAPE, 'x'), 'make them uint8'),
    (np.full(SHAPE, 200.0), 'float64 of 0 to 200; floats must lie within 0 and 1'),
    (np.full(SHAPE, -0.1, np.float32), 'float32 of -0.1 to 1;'),
    (np.full(SHAPE, np.nan), 'nan'),
  ],
)
def test_images_that_cannot_be_meant_are_refused(student, images, says):
  with pytest.raises(UserError) as error:
    student.predict(images)
  assert says in str(error.value) and '\n' not in str(error.value)


def test_logits_that_are_not_finite_are_no_answer(network, folder, images):
  student = pidkd_jax.load(folder, own=[Plain])
  huge = jax.tree.map(lambda leaf: leaf * 1e30, network.variables)
  student._network = network.replace(variables=huge)
  with pytest.raises(UserError, match='gives logits that are not finite; take another'):
    student.predict(images[:1])


def test_importing_the_package_imports_no_jax():
  code = 'import sys, pidkd_jax; sys.exit("jax" in sys.modules or not callable(pidkd_jax.load))'
  assert not subprocess.run([sys.executable, '-c', code], check=False).returncode


def test_the_example_of_the_model_card_runs(folder, images, monkeypatch):
  text = (folder / 'README.md').read_text()
  [example] = re.findall(r'^```python\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
  load = pidkd_jax.load
  monkeypatch.setattr(pidkd_jax, 'load', lambda path: load(path, own=[Plain]))
  example = example.replace('THIS_FOLDER', str(folder)).replace('images = ...', 'images = given')
  names = {'given': images[:3]}
  exec(example.replace('student.predict', 'found = student.predict'), names)
  assert names['found'].shape == (3, 4)


def test_the_script_says_what_is_in_files(folder, student, tmp_path, environment):
  pixels = np.random.default_rng(1).integers(0, 256, (2, *SHAPE), np.uint8)
  Image.fromarray(pixels[0]).save(tmp_path / 'small.png')
  large = np.repeat(np.repeat(pixels[1], 2, axis=0), 2, axis=1)
  Image.fromarray(large).save(tmp_path / 'large.png')
  done = subprocess.run(
    [
      sys.executable,
      str(ROOT / 'scripts' / 'predict.py'),
      f'--bundle={folder}',
      '--own=tests.plain:Plain',
      str(tmp_path / 'small.png'),
      str(tmp_path / 'large.png'),
      '--top=2',
    ],
    cwd=ROOT,  # Where tests.plain is found.
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  assert lines[0] == f'{tmp_path / "small.png"} (8x6)'
  assert lines[3] == f'{tmp_path / "large.png"} (16x12, scaled and cut to 8x6)'
  [expected] = student.top(pixels[0], k=2)
  assert lines[1:3] == [f'  {100 * p:6.2f}%  {name}' for name, p in expected]


def test_a_name_from_anyone_changes_nothing_of_a_terminal(network, tmp_path):
  card = {'dataset': DATASET, 'network': 'net\x1b]0;owned\x07\x1b[2J'}
  bundle.save(tmp_path / 'theirs', network, card)
  shown = repr(pidkd_jax.load(str(tmp_path / 'theirs'), own=[Plain]))
  assert shown.isprintable() and 'net' in shown
