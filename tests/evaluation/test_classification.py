"""Metrics against counts by hand."""

import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.evaluation import classification


def test_top_k_by_hand():
  logits = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [2.0, 3.0, 1.0], [9.0, 8.0, 7.0]])
  labels = np.array([0, 1, 0, 2])
  shares = [classification.top_k(logits, labels, k) for k in (1, 2, 3)]
  assert shares == [1 / 4, 3 / 4, 1.0]


def test_top_5_counts_five_of_eight_classes():
  logits = np.tile(np.arange(8.0), (8, 1))  # The last five classes are the five largest.
  labels = np.arange(8)
  assert classification.metrics(logits, labels, None)['top5'] == 5 / 8


def test_of_equal_logits_the_first_counts():
  """Top-1 counts what argmax predicts, and a constant network is no better than chance."""
  logits = np.zeros((3, 3))
  labels = np.array([0, 1, 2])
  assert [classification.top_k(logits, labels, k) for k in (1, 2, 3)] == [1 / 3, 2 / 3, 1.0]
  rng = np.random.default_rng(0)
  rounded = rng.integers(0, 3, (200, 5)).astype(np.float32)
  labels = rng.integers(0, 5, 200)
  argmax = np.mean(rounded.argmax(axis=1) == labels)
  assert classification.top_k(rounded, labels, 1) == argmax


def test_more_guesses_than_classes_are_always_right():
  assert classification.top_k(np.eye(3), np.array([2, 0, 1]), 5) == 1.0


def test_a_network_that_diverged_is_never_right():
  assert classification.top_k(np.full((2, 3), -np.inf), np.array([1, 2]), 1) == 0.0


def test_cross_entropy_by_hand():
  logits = np.log([[0.5, 0.5], [0.25, 0.75]]) + np.array([[100.0], [-100.0]])
  value = classification.cross_entropy(logits, np.array([0, 0]))
  np.testing.assert_allclose(value, (np.log(2) + np.log(4)) / 2)


def test_cross_entropy_is_finite_at_extreme_logits():
  value = classification.cross_entropy(np.array([[1e4, -1e4]], np.float32), np.array([1]))
  np.testing.assert_allclose(value, 2e4)


def of(*confidences):
  """Return logits of two classes that predict the first with these confidences."""
  return np.log([[c, 1 - c] for c in confidences])


def test_calibration_error_by_hand():
  # Two bins: (0, 0.5] and (0.5, 1]. All four lie in the second: |1/2 - mean confidence|.
  logits, labels = of(0.6, 0.7, 0.8, 0.9), np.array([0, 0, 1, 1])
  np.testing.assert_allclose(
    classification.calibration_error(logits, labels, bins=2), abs(0.5 - 0.75)
  )
  # Ten bins: each alone in its own, right or wrong.
  np.testing.assert_allclose(
    classification.calibration_error(of(0.65, 0.75, 0.85, 0.95), labels, bins=10),
    (0.35 + 0.25 + 0.85 + 0.95) / 4,
  )


def test_gaps_within_a_bin_cancel_and_across_bins_add_up():
  labels = np.array([0, 1])
  right_and_wrong = classification.calibration_error(of(0.62, 0.64), labels, bins=5)
  np.testing.assert_allclose(right_and_wrong, abs((1 - 0.62) + (0 - 0.64)) / 2)
  apart = classification.calibration_error(of(0.62, 0.85), labels, bins=5)
  np.testing.assert_allclose(apart, ((1 - 0.62) + 0.85) / 2)


def test_a_bin_holds_its_upper_edge_and_not_its_lower():
  # (0, 0.5] has the first alone, so right and wrong do not cancel.
  logits, labels = of(0.5, 0.9), np.array([0, 1])
  np.testing.assert_allclose(
    classification.calibration_error(logits, labels, bins=2), (0.5 + 0.9) / 2
  )


def test_the_lowest_bins_are_apart_too():
  # Ten classes; the largest probabilities are 0.15, in (0, 0.2], and 0.3, in (0.2, 0.4].
  logits = np.log([[c] + 9 * [(1 - c) / 9] for c in (0.15, 0.3)])
  value = classification.calibration_error(logits, np.array([0, 1]), bins=5)
  np.testing.assert_allclose(value, ((1 - 0.15) + 0.3) / 2)


def test_certainty_belongs_to_the_last_bin():
  logits = np.array([[1000.0, 0.0], [1000.0, 0.0]])
  assert classification.calibration_error(logits, np.array([0, 0])) == 0
  assert classification.calibration_error(logits, np.array([1, 1])) == 1


def test_fifteen_bins_as_published():
  # 0.61 and 0.66 lie in one bin of 15, (0.6, 0.667], and in two of 20.
  logits, labels = of(0.61, 0.66), np.array([0, 1])
  assert classification.calibration_error(logits, labels) == classification.calibration_error(
    logits, labels, bins=15
  )
  np.testing.assert_allclose(classification.calibration_error(logits, labels), 0.27 / 2)


def test_agreement_counts_equal_predictions():
  ours = np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])
  theirs = np.array([[9.0, 8], [3, 4], [1, 2], [5, 0]])
  assert classification.agreement(ours, theirs) == 0.5
  assert classification.agreement(ours, 7 * ours) == 1.0


@pytest.mark.parametrize('teacher', [None, np.eye(3)])
def test_all_metrics(teacher):
  logits, labels = 2 * np.eye(3), np.array([0, 1, 1])
  values = classification.metrics(logits, labels, teacher)
  names = {'top1', 'top5', 'cross_entropy', 'calibration_error'}
  assert values.keys() == names | ({'agreement'} if teacher is not None else set())
  assert all(type(value) is float for value in values.values())
  assert (values['top1'], values['top5']) == (2 / 3, 1.0)
  assert values.get('agreement', 1.0) == 1.0


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_network_that_diverged_is_no_perfect_one(value):
  with pytest.raises(UserError, match='not finite'):
    classification.metrics(np.full((5, 10), value), np.arange(5), None)
