"""Statistics by which images can be normalised, at the edges of what is taken."""

import numpy as np
import pytest

from pidkd_jax.core import normalisation
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation


@pytest.mark.parametrize('mean, std', [(-1e4, 1e-6), (1e4, 1e4), (0.5, 0.25)])
def test_what_is_within_the_bounds_is_taken(mean, std):
  assert normalisation.flaw((0.5, mean), (0.25, std)) is None


@pytest.mark.parametrize(
  'mean, std, says',
  [
    (1.01e4, 0.25, 'mean 10100 is not within'),
    (-1.01e4, 0.25, 'mean -10100 is not within'),
    (float('nan'), 0.25, 'mean nan is not within'),
    (0.5, 0.99e-6, 'std 9.9e-07 is not within'),
    (0.5, 1.01e4, 'std 10100 is not within'),
    (0.5, float('nan'), 'std nan is not within'),
  ],
)
def test_what_lies_beyond_is_named(mean, std, says):
  assert normalisation.flaw((0.5, mean), (0.25, std)).startswith(says)


def test_statistics_of_a_users_own_become_numbers():
  given = Normalisation(np.float32([0.5, 0.25]), np.float64([1.0, 0.5]))
  assert normalisation.checked('it', given, 2) == Normalisation((0.5, 0.25), (1.0, 0.5))


@pytest.mark.parametrize(
  'mean, std, says',
  [
    ((0.5,), (0.25, 0.25), 'it has 1 channels; the images have 2'),
    ((0.5, 0.5), (0.25,), 'it has 1 channels; the images have 2'),
    ((0.5, 127.5), (0.25, 0.25), 'it has the mean 127.5, .* divide those of 0 to 255'),
    ((0.5, 0.5), (0.25, 64.0), 'it has the std 64, .* divide those of 0 to 255'),
    ((0.5, 0.5), (0.25, 0.0), 'it: std 0 is not within'),
    ((0.5, float('nan')), (0.25, 0.25), 'it: mean nan is not within'),
    ((0.5, 'a'), (0.25, 0.25), 'it is .*; give numbers'),
    (None, (0.25, 0.25), 'it is None and .*; give numbers'),
  ],
)
def test_statistics_of_other_pixels_are_refused(mean, std, says):
  with pytest.raises(UserError, match=says):
    normalisation.checked('it', Normalisation(mean, std), 2)
