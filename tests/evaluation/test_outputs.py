"""The outputs that a run keeps for its report."""

import numpy as np
import pytest

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.evaluation import inference, outputs


@pytest.fixture
def split():
  images = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 1), np.uint8)
  return ResidentSplit(images, np.array([3, 3, 0, 2, 0, 1, 7, 5, 1], np.int32))


def test_examples_are_the_first_images_of_different_classes(split):
  assert outputs.examples(split.labels).tolist() == [0, 2, 3, 5, 6]
  assert outputs.examples(np.array([1, 1, 0])).tolist() == [0, 2]


def test_the_images_of_examples_are_kept(split, tmp_path):
  outputs.save_examples(tmp_path / 'outputs' / 'examples.npz', split)
  with np.load(tmp_path / 'outputs' / 'examples.npz') as kept:
    assert kept['label'].tolist() == [3, 0, 2, 1, 7]
    np.testing.assert_array_equal(kept['image'], split.images[[0, 2, 3, 5, 6]])


def test_outputs_have_the_probabilities_of_examples(split, tmp_path, monkeypatch):
  features = np.tile(np.float32([[1e8, -7e4], [0.5, 0]]), (5, 1))[:9]
  monkeypatch.setattr(inference, 'pooled', lambda *_: features)
  logits = np.random.default_rng(1).normal(size=(9, 8)).astype(np.float32)
  normalisation = Normalisation((0.5,), (0.5,))
  outputs.save(tmp_path / 'a.npz', logits, None, split, normalisation)  # pyright: ignore
  with np.load(tmp_path / 'a.npz') as kept:
    # What is finite stays finite, as a report reads nothing else.
    assert kept['pooled'].dtype == np.float16
    assert kept['pooled'][:2].tolist() == [[65504, -65504], [0.5, 0]]
    exponentials = np.exp(logits[[0, 2, 3, 5, 6]])
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(kept['probabilities'], expected, rtol=1e-5)
    assert (
      kept['probabilities'].max(axis=1).tolist() == kept['confidence'][[0, 2, 3, 5, 6]].tolist()
    )
