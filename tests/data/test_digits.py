"""The digits that scikit-learn carries."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.pipeline import statistics
from pidkd_jax.data.sources.digits import Digits

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def directory(tmp_path_factory):
  return str(tmp_path_factory.mktemp('digits'))


@pytest.fixture(scope='module')
def digits(directory):
  return data.load('digits', directory=directory)


def test_counts_and_types(digits):
  assert digits.train.images.shape == (1297, 8, 8, 1) and digits.train.images.dtype == np.uint8
  assert digits.test.images.shape == (500, 8, 8, 1) and digits.test.labels.dtype == np.int32
  assert digits.spec.class_names == tuple('0123456789')
  assert digits.spec.num_examples == 1297 and digits.spec.image_shape == (8, 8, 1)
  assert (digits.spec.padding, digits.spec.flip) == (1, False)
  assert '\n' not in digits.spec.source


def test_the_test_split_is_the_end_of_the_file(directory, digits):
  builder = Digits(data_dir=directory)
  ids = [
    int(example['id'])
    for example in builder.as_data_source('test', decoders={'image': tfds.decode.SkipDecoding()})
  ]
  assert sorted(ids) == list(range(1297, 1797))
  original = load_digits()
  expected = np.rint(original.images[ids] * 255 / 16)
  np.testing.assert_array_equal(digits.test.images[..., 0], expected)
  np.testing.assert_array_equal(digits.test.labels, original.target[ids])


def test_statistics_are_computed_from_the_train_split(digits):
  assert digits.spec.normalisation == statistics.normalisation(
    statistics.histogram(digits.train.images)
  )


def test_it_is_opened_again_and_gives_the_same(directory, digits, monkeypatch):
  monkeypatch.setattr(Digits, 'download_and_prepare', None)
  assert data.load('digits', directory=directory).spec.fingerprint == digits.spec.fingerprint


def test_it_takes_no_archive(directory):
  with pytest.raises(UserError, match='digits needs no archive; leave `archive=x` out'):
    data.load('digits', directory=directory, archive='x')


def test_names_and_unknown_names():
  assert {'cifar100', 'digits', 'image_folder', 'tiny_imagenet'} <= set(data.names())
  with pytest.raises(UserError, match="unknown dataset 'digit'; did you mean 'digits'"):
    data.load('digit')


def test_tensorflow_is_not_imported(digits):
  del digits
  assert 'tensorflow' not in sys.modules


def test_it_loads_quietly_where_nothing_is_prepared(tmp_path, monkeypatch):
  """In a process of its own, as in a notebook: no config, and TFDS's default folder."""
  monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
  code = "from pidkd_jax import data; assert len(data.load('digits').test.images[:8]) == 8"
  done = subprocess.run(
    [sys.executable, '-c', code],
    env=os.environ | {'HOME': str(tmp_path), 'PYTHONPATH': str(ROOT)},
    cwd=tmp_path,
    capture_output=True,
    text=True,
  )
  assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
  assert (tmp_path / 'tensorflow_datasets/digits/1.0.0').is_dir()
