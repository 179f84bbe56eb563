import itertools
import math

import numpy as np
import pytest
from scipy import stats

from pidkd_jax.report import statistics


def test_resampled_means_have_the_mean_and_the_error_of_a_mean():
  rng = np.random.default_rng(1)
  values = rng.integers(-1, 2, size=(3, 200))
  means = statistics.resample_images(values, 4000)
  assert means.shape == (3, 4000)
  np.testing.assert_allclose(means.mean(axis=1), values.mean(axis=1), atol=0.005)
  np.testing.assert_allclose(means.std(axis=1), values.std(axis=1) / math.sqrt(200), rtol=0.05)


def test_every_row_sees_the_same_images():
  values = np.random.default_rng(0).normal(size=(1, 50))
  one, other = statistics.resample_images(np.concatenate([values, 2 * values + 1]), 300)
  np.testing.assert_allclose(other, 2 * one + 1, atol=1e-5)


def test_resamples_are_the_same_every_time_and_cross_chunks():
  values = np.eye(2, 7)
  np.testing.assert_array_equal(
    statistics.resample_images(values, 600)[:, :256], statistics.resample_images(values, 256)
  )


def test_resampled_images_are_drawn_with_replacement():
  # Of two images each draw has 0, 1 or 2 times the first, by 1 : 2 : 1.
  [means] = statistics.resample_images(np.array([[1, 0]]), 8000)
  found, counts = np.unique(means, return_counts=True)
  np.testing.assert_array_equal(found, [0, 0.5, 1])
  np.testing.assert_allclose(counts / 8000, [0.25, 0.5, 0.25], atol=0.02)


def test_trials_are_drawn_with_replacement():
  trials = np.array([0.0, 1.0, 5.0])
  samples = statistics.resample_trials(np.tile(trials[:, None], 27_000))
  expected = [np.mean(drawn) for drawn in itertools.product(trials, repeat=3)]
  for value in set(expected):
    share = np.mean(np.isclose(samples, value))
    assert share == pytest.approx(np.mean(np.isclose(expected, value)), abs=0.01)


def test_one_trial_adds_no_spread():
  means = np.random.default_rng(0).normal(size=(1, 100))
  np.testing.assert_array_equal(statistics.resample_trials(means), means[0])


def test_the_end_of_an_interval_that_is_zero_but_for_rounding_decides_nothing():
  rng = np.random.default_rng(36)
  hits = rng.integers(0, 2, size=(6, 30))
  means = statistics.resample_images(hits, 3000)
  assert np.all(means * 30 == np.round(means * 30, 9))
  tenths = np.array([0.1, 0.2, -0.3])
  samples = np.array([tenths[order].sum() / 3 for order in ([0, 1, 2], [1, 2, 0])])
  assert np.any(samples != 0)
  assert statistics.percentile_interval(samples) == (0, 0)


def test_an_interval_over_trials_and_images_is_known_where_one_has_no_spread():
  trials, images = np.array([[0.1], [0.4], [0.3]]), np.array([[0.0, 1, 1, 0, 1]])
  low, high, _ = statistics.t_test(trials.ravel().tolist())
  assert statistics.crossed_interval(np.tile(trials, 5)) == pytest.approx((low, high))
  low, high, _ = statistics.t_test(images.ravel().tolist())
  for count in (1, 3):
    found = statistics.crossed_interval(np.tile(images, (count, 1)))
    assert found == pytest.approx((low, high))
  assert statistics.crossed_interval(np.full((3, 5), 0.5)) == (0.5, 0.5)
  assert statistics.crossed_interval(trials) is None


def test_an_interval_over_trials_and_images_by_hand():
  # Mean 5/8; mean squares 1/8 of trials, 11/24 of images, 1/8 of the rest.
  low, high = statistics.crossed_interval(np.array([[1, 0, 1, 1], [0, 0, 1, 1]]))
  degrees = (11 / 24) ** 2 / ((11 / 24) ** 2 / 3 + (1 / 8) ** 2 / 1 + (1 / 8) ** 2 / 3)
  reach = stats.t.ppf(0.975, degrees) * math.sqrt(11 / 24 / 8)
  assert (low, high) == pytest.approx((5 / 8 - reach, 5 / 8 + reach))


@pytest.mark.parametrize('spread', [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize('count', [3, 8])
def test_an_interval_over_trials_and_images_holds_its_share(count, spread):
  rng, images, runs = np.random.default_rng(0), 60, 600
  covered = 0
  for _ in range(runs):
    # Either adds as much to the variance of the mean as the rest does.
    of_trials = rng.normal(size=(count, 1)) * spread[0] / math.sqrt(images)
    of_images = rng.normal(size=(1, images)) * spread[1] / math.sqrt(count)
    values = of_trials + of_images + rng.normal(size=(count, images))
    low, high = statistics.crossed_interval(values)
    covered += low <= 0 <= high
  # Five standard errors of the count.
  assert 0.91 < covered / runs < 1


def test_an_interval_over_groups_has_the_spread_within_them():
  rng = np.random.default_rng(0)
  covered = 0
  for _ in range(400):
    # Means of groups far apart, which the interval does not count.
    groups = [rng.normal(mean, deviation, 5) for mean, deviation in ((0, 1), (10, 2), (-4, 1))]
    low, high = statistics.t_interval_of_means(groups)
    covered += low <= 2 <= high
  assert covered / 400 == pytest.approx(0.95, abs=0.03)
  assert statistics.t_interval_of_means([[1.0, 2.0], [3.0]]) is None
  assert statistics.t_interval_of_means([[1.0, 1.0], [3.0, 3.0]]) is None


def test_the_interval_holds_its_share():
  assert statistics.percentile_interval(np.arange(1001.0)) == pytest.approx((25, 975))


def test_the_front_is_what_nothing_smaller_surpasses():
  costs = np.array([3.0, 1.0, 2.0, 2.0, 4.0, 1.0])
  values = np.array([0.7, 0.5, 0.4, 0.6, 0.7, 0.3])
  # 4 costs more than 0 for as much, 2 is below 3 at its cost, 5 below 1.
  assert statistics.pareto_front(costs, values) == [1, 3, 0]


def test_the_standard_error_is_of_the_trials_or_binomial():
  assert statistics.standard_error([[0.5, 0.7]], 0, 10) == pytest.approx(0.1)
  # Variances 0.02 and 0 with one degree of freedom each.
  settings = [[0.5, 0.7], [0.6, 0.6], [0.4]]
  assert statistics.standard_error(settings, 1, 10) == pytest.approx(0.005**0.5)
  assert statistics.standard_error(settings, 2, 10) == pytest.approx(0.1)
  assert statistics.standard_error([[0.2], [0.3]], 0, 400) == pytest.approx(0.02)


def test_the_smallest_within_the_error_is_chosen():
  costs, means = np.array([1, 2, 2, 9]), np.array([0.58, 0.59, 0.595, 0.60])
  assert statistics.smallest_within(costs, means, 0.021) == 0
  assert statistics.smallest_within(costs, means, 0.015) == 2  # The better of the two.
  assert statistics.smallest_within(costs, means, 0.001) == 3


def test_many_images_are_drawn_in_smaller_parts_and_alike(monkeypatch):
  values = np.random.default_rng(2).integers(0, 2, size=(2, 500))
  expected = statistics.resample_images(values, 300)
  monkeypatch.setattr(statistics, '_DRAWS', 1500)  # Three draws at once.
  np.testing.assert_array_equal(statistics.resample_images(values, 300), expected)
