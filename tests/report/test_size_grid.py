import pytest

from pidkd_jax.report import run_folder
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.size_grid import find_grids
from tests.report import folders


def comparison(folder, sizes, **kwargs):
  """Return a comparison of {(q, f): (top-1 of each trial, parameters)} and of other labels."""
  labels = [
    folders.Label(
      f'q{q}f{f}', method='pidkd', trials=tuple(range(len(top1))), size=(q, f), parameters=size
    )
    for (q, f), (top1, size) in sizes.items()
  ]
  rest = [
    folders.Label('simkd', size=(1, 8)),
    folders.Label('heavy', method='pidkd', size=(9, 9), hyperparameters={'weight': 3.0}),
    folders.Label('fast', method='pidkd', size=(8, 8), learning_rate=0.2),
    folders.Label('wide', method='pidkd', size=(7, 7), student='resnet8x4'),
    folders.Label('scratch'),
  ]
  folders.run(folder, labels + rest, **kwargs)
  for (q, f), (top1, _) in sizes.items():
    for trial, value in enumerate(top1):
      folders.change(
        folder,
        f'q{q}f{f}-{trial}',
        lambda card, value=value: card['results'].update(top1=value),
      )
  return Comparison((run_folder.read(folder),))


def test_the_smallest_within_one_standard_error_is_chosen(tmp_path):
  sizes = {
    # Variances 0, 0.5e-4 and 2.5e-4, pooled 1e-4; of a mean of two half of that.
    (1, 4): ([0.55, 0.55], 100_000),
    (2, 4): ([0.59, 0.60], 200_000),
    (3, 2): ([0.6 + 1.25e-4**0.5, 0.6 - 1.25e-4**0.5], 500_000),
  }
  [grid] = find_grids(comparison(tmp_path / 'run', sizes))
  assert set(grid.results) == set(sizes)
  assert grid.standard_error == pytest.approx(0.5e-4**0.5)
  assert (grid.best, grid.chosen) == ((3, 2), (2, 4))
  assert '**q = 2, f = 4** with 59.50% at 200,000, 60% fewer' in grid.choice
  assert 'of 2 trials, their variance pooled' in grid.choice


def test_one_trial_has_the_binomial_error_of_the_test_images(tmp_path):
  sizes = {(1, 4): ([0.48], 1000), (2, 4): ([0.50], 2000)}
  [grid] = find_grids(comparison(tmp_path / 'run', sizes))
  assert grid.standard_error == pytest.approx(0.5 / folders.NUM_IMAGES**0.5)  # 0.025.
  assert grid.chosen == (1, 4)
  assert 'binomial, of one trial on 400 test images' in grid.choice


def test_one_trial_without_outputs_chooses_nothing(tmp_path):
  sizes = {(1, 4): ([0.48], 1000), (2, 4): ([0.50], 2000)}
  [grid] = find_grids(comparison(tmp_path / 'run', sizes, outputs=False))
  assert grid.chosen is None
  assert 'no size is chosen' in grid.choice


def test_one_size_is_no_grid(tmp_path):
  assert find_grids(comparison(tmp_path / 'run', {(3, 2): ([0.5], 1000)})) == []
