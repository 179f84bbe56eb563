"""Metrics of a classifier, from its logits over a whole split; in float64 on the host."""

import numpy as np
from scipy.special import log_softmax

from pidkd_jax.core.errors import UserError


def metrics(logits: np.ndarray, labels: np.ndarray, teacher: np.ndarray | None) -> dict[str, float]:
  """Compute every metric of a split.

  Args:
    logits: [N, K].
    labels: int [N].
    teacher: the teacher's logits [N, K], or None to leave out agreement.

  Returns:
    {metric: value}; shares lie in [0, 1].

  Raises:
    UserError: the logits are not finite, as those of a network that diverged.
  """
  for who, values in (('a network', logits), ('the teacher', teacher)):
    if values is not None and not np.isfinite(values).all():
      raise UserError(f'{who} gives logits that are not finite; try a lower learning rate')
  values = {
    'top1': top_k(logits, labels, 1),
    'top5': top_k(logits, labels, 5),
    'cross_entropy': cross_entropy(logits, labels),
    'calibration_error': calibration_error(logits, labels),
  }
  if teacher is not None:
    values['agreement'] = agreement(logits, teacher)
  return values


def top_k(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
  """Return the share of examples whose label is among the k largest logits.

  Among equal logits the class that comes first counts as larger.

  Args:
    logits: [N, K].
    labels: int [N].
    k: at least 1; from K on the result is 1.

  Example:
    >>> top_k(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]), k=1)
    0.5
  """
  own = np.take_along_axis(logits, labels[:, None], axis=1)
  larger = np.sum(logits > own, axis=1)
  earlier = np.sum((logits == own) & (np.arange(logits.shape[1]) < labels[:, None]), axis=1)
  return float(np.mean(larger + earlier < k))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
  """Return the mean cross-entropy in nats.

  Args:
    logits: [N, K].
    labels: int [N].
  """
  return float(-np.mean(_log_probabilities(logits)[np.arange(len(labels)), labels]))


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
  """Return the expected calibration error.

  It is |accuracy - confidence|, averaged over bins of confidence.

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
  """Return the share of examples on which two networks predict the same class.

  Args:
    logits: [N, K], of the one network.
    teacher: [N, K], of the other.
  """
  return float(np.mean(logits.argmax(axis=1) == teacher.argmax(axis=1)))


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
  return log_softmax(logits.astype(np.float64), axis=1)
