"""Measures of a classifier, from its logits over a whole split; in float64 on the host."""

import numpy as np
from scipy.special import log_softmax

from pidkd_jax.core.errors import UserError


def top_k(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
  """Share of examples whose label is among the k largest logits; of equals the first counts.

  Args:
    logits: [N, K].
    labels: int [N].
    k: 1 to K; more is certain to be 1.
  """
  own = np.take_along_axis(logits, labels[:, None], axis=1)
  larger = np.sum(logits > own, axis=1)
  earlier = np.sum((logits == own) & (np.arange(logits.shape[1]) < labels[:, None]), axis=1)
  return float(np.mean(larger + earlier < k))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
  """Mean cross-entropy in nats: logits [N, K], labels int [N]."""
  return float(-np.mean(_log_probabilities(logits)[np.arange(len(labels)), labels]))


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
  """Expected calibration error: |accuracy - confidence| averaged over bins of confidence.

  Args:
    logits: [N, K].
    labels: int [N].
    bins: of equal width over (0, 1]; 15 as in the source.

  Source: Guo et al. 2017, arXiv:1706.04599, eq. 3 and 5.
  """
  confidence = np.exp(_log_probabilities(logits).max(axis=1))
  correct = logits.argmax(axis=1) == labels
  index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
  gap = np.bincount(index, correct - confidence, bins)
  return float(np.sum(np.abs(gap)) / len(labels))


def agreement(logits: np.ndarray, teacher: np.ndarray) -> float:
  """Share of examples on which two networks predict the same class: logits [N, K] twice."""
  return float(np.mean(logits.argmax(axis=1) == teacher.argmax(axis=1)))


def metrics(logits: np.ndarray, labels: np.ndarray, teacher: np.ndarray | None) -> dict[str, float]:
  """All measures of a split by name; agreement where the teacher's logits [N, K] are given.

  Raises:
    UserError: the logits are not finite, as those of a network that diverged.
  """
  if not np.isfinite(logits).all():
    raise UserError('a network gives logits that are not finite; try a lower learning rate')
  found = {
    'top1': top_k(logits, labels, 1),
    'top5': top_k(logits, labels, 5),
    'cross_entropy': cross_entropy(logits, labels),
    'calibration_error': calibration_error(logits, labels),
  }
  if teacher is not None:
    found['agreement'] = agreement(logits, teacher)
  return found


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
  return log_softmax(logits.astype(np.float64), axis=1)
