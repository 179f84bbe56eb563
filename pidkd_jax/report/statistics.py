"""Intervals by resampling, and choices between size and accuracy."""

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000
_SEED = 0
_CHUNK = 256


def over_images(values: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
  """Means over images drawn with replacement; each draw is the same for every row.

  Args:
    values: [K, N], one for each of N images.
    resamples: R.

  Returns:
    float64 [K, R]; the same every time.
  """
  rng = np.random.default_rng(_SEED)
  size = values.shape[1]
  columns = values.T.astype(np.float32)
  means = []
  for start in range(0, resamples, _CHUNK):
    rows = min(_CHUNK, resamples - start)
    drawn = rng.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
    means.append((counts.astype(np.float32) @ columns).T / size)
  return np.concatenate(means, axis=1, dtype=np.float64)


def over_trials(means: np.ndarray) -> np.ndarray:
  """Means over trials drawn with replacement, a draw for each column.

  Args:
    means: [T, R], of T trials in R resamples of the images.

  Returns:
    [R].
  """
  rng = np.random.default_rng(_SEED + 1)
  drawn = rng.integers(len(means), size=means.shape)
  return np.take_along_axis(means, drawn, axis=0).mean(axis=0)


def interval(samples: np.ndarray, level: float = 0.95) -> tuple[float, float]:
  """The percentiles that hold the share `level` of the samples [R] between them."""
  low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
  return float(low), float(high)


def pareto(costs: np.ndarray, values: np.ndarray) -> list[int]:
  """Indices of what nothing cheaper or as cheap surpasses, by ascending cost.

  Args:
    costs: [K], less is better.
    values: [K], more is better. Of equal pairs the first stays.
  """
  front, best = [], -math.inf
  for index in np.lexsort((-np.asarray(values), costs)):
    if values[index] > best:
      front.append(int(index))
      best = values[index]
  return front


def standard_error(settings: Sequence[Sequence[float]], which: int, num_images: int) -> float:
  """Of the mean accuracy of one of several settings.

  Args:
    settings: of each the accuracies of its trials, in [0, 1]. Where any has two, the variance is
      pooled over all: that of two or three trials by themselves may be nearly nothing by chance.
      Else it is the binomial one of `num_images` images.
    which: the setting.
    num_images: of the test split.
  """
  degrees = sum(len(values) - 1 for values in settings)
  if degrees:
    squares = sum(np.var(values) * len(values) for values in settings)
    return math.sqrt(squares / degrees / len(settings[which]))
  [value] = settings[which]
  return math.sqrt(value * (1 - value) / num_images)


def smallest_within(costs: np.ndarray, means: np.ndarray, error: float) -> int:
  """Index of the cheapest whose mean is at most `error` below the best one's.

  Of equally cheap ones it is the better. The rule of one standard error: Breiman et al. 1984,
  Classification and Regression Trees, section 3.4.3.
  """
  enough = np.flatnonzero(np.asarray(means) >= np.max(means) - error)
  return int(min(enough, key=lambda i: (costs[i], -means[i])))
