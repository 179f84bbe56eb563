"""Intervals by variances and by bootstrap, Pareto fronts, and the one-standard-error rule."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

RESAMPLES = 10_000
_SEED = 0
# So many resamples, and so many drawn images, are counted at once.
_CHUNK, _DRAWS = 256, 2**24


def resample_images(values: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
  """Return means over images drawn with replacement; all rows share each draw.

  Args:
    values: [K, N], in each row one value for each of N images.
    resamples: R, the number of draws.

  Returns:
    float64 [K, R], the same for every call with these arguments.
  """
  rng = np.random.default_rng(_SEED)
  size = values.shape[1]
  columns = values.T.astype(np.float32)
  means = []
  chunk = max(1, min(_CHUNK, _DRAWS // size))
  for start in range(0, resamples, chunk):
    rows = min(chunk, resamples - start)
    indices = rng.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
    counts = np.bincount(indices.ravel(), minlength=rows * size).reshape(rows, size)
    means.append((counts.astype(np.float32) @ columns).T)
  # Sums of hits are whole numbers, exact in float32; their quotients are not.
  return np.concatenate(means, axis=1, dtype=np.float64) / size


def resample_trials(means: np.ndarray) -> np.ndarray:
  """Return means over trials drawn with replacement, one draw for each column.

  Args:
    means: [T, R], the means of T trials in R resamples of the images.

  Returns:
    [R].
  """
  rng = np.random.default_rng(_SEED + 1)
  indices = rng.integers(len(means), size=means.shape)
  return np.take_along_axis(means, indices, axis=0).mean(axis=0)


def percentile_interval(samples: np.ndarray) -> tuple[float, float]:
  """Return the two percentiles that enclose 95% of the samples [R].

  They are rounded to twelve digits. So an end that is 0 but for the rounding of sums is 0, and
  decides nothing.
  """
  low, high = np.round(np.quantile(samples, [0.025, 0.975]), 12).tolist()
  return low, high


def t_test(gains: Sequence[float]) -> tuple[float, float, float] | None:
  """Return the 95% interval of a mean by Student's t, and its two-sided p-value against 0.

  Args:
    gains: [T], one value for each of T independent trials.

  Returns:
    (low, high, p); None where one trial, or trials without any spread, allow no test.

  Example:
    >>> low, high, p = t_test([1.0, 2.0, 3.0])
    >>> round(low, 2), round(high, 2), round(p, 3)
    (-0.48, 4.48, 0.074)
  """
  if len(gains) < 2 or math.isclose(min(gains), max(gains)):
    return None
  degrees, mean = len(gains) - 1, float(np.mean(gains))
  error = float(np.std(gains, ddof=1)) / math.sqrt(len(gains))
  reach = error * float(stats.t.ppf(0.975, degrees))
  return mean - reach, mean + reach, 2 * float(stats.t.sf(abs(mean) / error, degrees))


def crossed_interval(values: np.ndarray) -> tuple[float, float] | None:
  """Return the 95% interval of a mean over trials and images, both drawn from more.

  The variance of the mean is (A + B - E) / (T N), of the mean squares of trials, of images, and of
  the rest. Its floor is the larger of A / (T N) and B / (T N). The degrees of freedom are
  Satterthwaite's. One trial has the interval over its images. In simulations of normal values, 2
  trials held 90 to 98% in place of 95, and 3 to 20 trials 93 to 98%.

  Args:
    values: [T, N], of T trials on the same N images.

  Returns:
    (low, high), rounded to twelve digits, so that an end that is 0 but for rounding is 0; None
    where there are fewer than two images.

  Source: Dorfman, Berbaum and Metz 1992, Investigative Radiology 27(9), 723-731, for readers and
  cases; Satterthwaite 1946, Biometrics Bulletin 2(6), 110-114.

  Example:
    >>> low, high = crossed_interval(np.array([[1, 0, 1, 1], [0, 0, 1, 1]]))
    >>> round(low, 2), round(high, 2)
    (-0.28, 1.53)
  """
  trials, images = values.shape
  if images < 2:
    return None
  values = values.astype(np.float64)
  mean = float(values.mean())
  by_trial, by_image = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
  # Each with its degrees of freedom.
  of_images = trials * float(np.var(by_image, ddof=1)), images - 1
  squares = [of_images]
  largest = combined = of_images[0]
  if trials > 1:
    of_trials = images * float(np.var(by_trial, ddof=1)), trials - 1
    degrees = (trials - 1) * (images - 1)
    rest = float(np.sum(np.square(values - by_trial - by_image + mean))) / degrees
    squares += [of_trials, (rest, degrees)]
    largest = max(of_images[0], of_trials[0])
    combined = of_images[0] + of_trials[0] - rest
  variance = max(combined, largest)
  if variance <= 0:
    return mean, mean
  degrees = variance**2 / sum(square**2 / degrees for square, degrees in squares)
  reach = math.sqrt(variance / (trials * images)) * float(stats.t.ppf(0.975, degrees))
  return round(mean - reach, 12), round(mean + reach, 12)


def t_interval_of_means(groups: Sequence[Sequence[float]]) -> tuple[float, float] | None:
  """Return the 95% interval of the mean of groups' means, by the spread within the groups.

  Each group counts once. The degrees of freedom are Satterthwaite's.

  Args:
    groups: [K] groups of independent values.

  Returns:
    (low, high); None where a group has one value, or none has any spread.

  Source: Satterthwaite 1946, Biometrics Bulletin 2(6), 110-114.

  Example:
    >>> low, high = t_interval_of_means([[1.0, 3.0], [2.0, 4.0]])
    >>> round(low, 2), round(high, 2)
    (-0.54, 5.54)
  """
  if any(len(group) < 2 for group in groups):
    return None
  squares = [float(np.var(group, ddof=1)) / len(group) for group in groups]
  if math.isclose(sum(squares), 0, abs_tol=1e-24):
    return None
  degrees = sum(squares) ** 2 / sum(
    square**2 / (len(group) - 1) for square, group in zip(squares, groups, strict=True)
  )
  mean = math.fsum(float(np.mean(group)) for group in groups) / len(groups)
  reach = math.sqrt(sum(squares)) / len(groups) * float(stats.t.ppf(0.975, degrees))
  return mean - reach, mean + reach


def holm(p_values: Sequence[float]) -> list[float]:
  """Return p-values that are corrected for their number, in their order.

  Source: Holm 1979, Scandinavian Journal of Statistics 6(2), 65-70.

  Example:
    >>> holm([0.03, 0.01, 0.04])
    [0.06, 0.03, 0.06]
  """
  corrected, highest = [0.0] * len(p_values), 0.0
  for rank, index in enumerate(np.argsort(p_values, kind='stable').tolist()):
    highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
    corrected[index] = highest
  return corrected


def pareto_front(costs: Sequence[float], values: Sequence[float]) -> list[int]:
  """Return the indices of the points that no point of equal or lower cost surpasses.

  Args:
    costs: [K], less is better.
    values: [K], more is better.

  Returns:
    The indices by ascending cost. Of equal points it has the first.

  Example:
    >>> pareto_front([3.0, 1.0, 2.0], [0.7, 0.5, 0.4])
    [1, 0]
  """
  front, best = [], -math.inf
  for index in np.lexsort((-np.asarray(values), np.asarray(costs))):
    if values[index] > best:
      front.append(int(index))
      best = values[index]
  return front


def standard_error(
  settings: Sequence[Sequence[float]], index: int, num_images: int | None
) -> float:
  """Return the standard error of one setting's mean accuracy.

  If any setting has two trials, the variance is pooled over all settings. The variance of two or
  three trials by themselves may be almost zero by chance. Otherwise it is the binomial variance of
  `num_images` images.

  Args:
    settings: for each setting the accuracies of its trials, in [0, 1].
    index: the setting's index.
    num_images: number of test images; None if a setting has two trials.
  """
  degrees = sum(len(values) - 1 for values in settings)
  if degrees:
    squares = sum(np.var(values) * len(values) for values in settings)
    return math.sqrt(squares / degrees / len(settings[index]))
  if num_images is None:
    raise ValueError('one trial a setting needs the number of test images')
  [value] = settings[index]
  return math.sqrt(value * (1 - value) / num_images)


def smallest_within(costs: Sequence[float], means: Sequence[float], error: float) -> int:
  """Return the index of the cheapest setting whose mean is at most `error` below the best mean.

  Of equally cheap settings, the better one is taken.

  Source: the one-standard-error rule of Breiman et al. 1984, Classification and Regression Trees,
  section 3.4.3.
  """
  eligible = np.flatnonzero(np.asarray(means) >= np.max(means) - error).tolist()
  return min(eligible, key=lambda i: (costs[i], -means[i]))
