"""Statistics by which images can be normalised, at the edges of what is taken."""

import pytest

from pidkd_jax.core import normalisation


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
