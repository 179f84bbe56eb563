"""Differences to a baseline, on outputs written by hand."""

import itertools

import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.report import paired_differences, run_folder
from pidkd_jax.report.comparison import Comparison
from tests.report import folders


def comparison(folder, hits, **kwargs):
  """Return a comparison of {label: {trial: whether each image is right}}."""
  labels = [folders.Label(label, trials=tuple(trials)) for label, trials in hits.items()]
  folders.run(folder, labels, **kwargs)
  for label, trials in hits.items():
    for trial, right in trials.items():
      right = np.asarray(right)
      folders.change(
        folder,
        f'{label}-{trial}',
        lambda card, right=right: card['results'].update(top1=float(right.mean())),
      )
      if kwargs.get('outputs', True):
        folders.save(
          folder,
          f'{label}-{trial}',
          label=np.ones(len(right)),
          predicted=right,
          confidence=np.ones(len(right)),
          pooled=np.zeros((1, 1)),
        )
  return Comparison((run_folder.read(folder),))


def test_trials_are_paired_by_number(tmp_path):
  found = paired_differences.to_baseline(
    comparison(
      tmp_path / 'run',
      {
        'pidkd': {2: [1, 1, 1, 1], 0: [1, 1, 1, 0], 5: [0, 0, 0, 0]},
        'simkd': {0: [1, 1, 0, 0], 1: [0, 0, 0, 0], 2: [1, 0, 0, 0]},
        'kd': {7: [1, 1, 1, 1]},
      },
    ),
    'simkd',
  )
  assert list(found) == ['pidkd']  # kd shares no trial.
  assert len(found['pidkd'].gains) == 2
  assert found['pidkd'].mean == pytest.approx(((3 - 2) + (4 - 1)) / 4 / 2)


def test_the_interval_by_resamples_is_that_of_all_resamples(tmp_path):
  ours = {0: [1, 1, 0, 1], 1: [1, 0, 1, 0]}
  theirs = {0: [0, 1, 0, 0], 1: [1, 1, 1, 0]}
  one = comparison(tmp_path / 'run', {'pidkd': ours, 'simkd': theirs})
  [found] = paired_differences.resampled(one, [('pidkd', 'simkd')])
  hits = np.array([ours[0], ours[1]]) - np.array([theirs[0], theirs[1]])
  every = [
    hits[list(trials)][:, list(images)].mean()
    for trials in itertools.product(range(2), repeat=2)
    for images in itertools.product(range(4), repeat=4)
  ]
  assert found == pytest.approx(tuple(np.quantile(every, [0.025, 0.975])))


def test_equal_outputs_differ_by_nothing(tmp_path):
  same = {0: [1, 0, 1, 0], 1: [0, 0, 1, 1]}
  found = paired_differences.to_baseline(comparison(tmp_path / 'run', {'a': same, 'b': same}), 'a')[
    'b'
  ]
  assert (found.mean, found.interval, found.points(1)) == (0, (0, 0), '+0.0 [+0.0, +0.0]')


def test_contrasts_draw_images_once(tmp_path, monkeypatch):
  two = comparison(tmp_path / 'run', {'a': {0: [1, 0]}, 'b': {0: [1, 1]}})
  drawn = []
  resample = paired_differences.statistics.resample_images
  monkeypatch.setattr(
    paired_differences.statistics,
    'resample_images',
    lambda values: drawn.append(values) or resample(values),
  )
  assert paired_differences.resampled(two, [('b', 'a'), ('a', 'b')]) == [(0, 1), (-1, 0)]
  assert len(drawn) == 1


def test_one_trial_has_the_spread_of_the_images_alone_and_says_so(tmp_path):
  one = comparison(tmp_path / 'run', {'a': {0: [1, 0] * 50}, 'b': {0: [1] * 100}})
  found = paired_differences.to_baseline(one, 'a')['b']
  assert found.mean == 0.5
  # Binomial: 1.96 * 0.05.
  assert found.interval == pytest.approx((0.402, 0.598), abs=0.015)
  text = paired_differences.explain(one, 'a')
  assert 'is over test images,' in text and 'One trial'.lower() in text


def test_without_outputs_the_interval_is_over_trials_and_says_so(tmp_path):
  hits = {'a': {0: [1, 0], 1: [1, 0]}, 'b': {0: [1, 1], 1: [1, 0]}}
  kept = comparison(tmp_path / 'run', hits, outputs=False)
  found = paired_differences.to_baseline(kept, 'a')['b']
  # One degree of freedom: 12.706 standard errors of 0.25.
  assert found.mean == 0.25 and found.interval == pytest.approx((-2.9266, 3.4266), abs=1e-4)
  text = paired_differences.explain(kept, 'a')
  assert 'kept no outputs' in text and 'Two trials tell little' in text
  assert paired_differences.resampled(kept, [('b', 'a')]) == [(0, 0.5)]


def test_outputs_that_are_missing_cost_no_other_row_its_images(tmp_path):
  hits = {'a': {0: [1, 0, 1], 1: [1, 0, 0]}, 'b': {0: [1, 1, 1], 1: [1, 0, 1]}}
  whole = comparison(tmp_path / 'whole', hits | {'c': hits['b']})
  damaged = comparison(tmp_path / 'damaged', hits | {'c': hits['b']})
  (tmp_path / 'damaged' / 'outputs' / 'c-1.npz').unlink()
  found, expected = (paired_differences.to_baseline(one, 'a') for one in (damaged, whole))
  assert found['b'] == expected['b'] and found['b'].by_image
  assert (found['c'].by_image, found['c'].interval) == (False, None)  # Both gains are 1/3.
  text = paired_differences.explain(damaged, 'a')
  assert 'trials and test images' in text and 'the difference of c are missing' in text


def test_one_trial_without_outputs_has_no_interval(tmp_path):
  kept = comparison(tmp_path / 'run', {'a': {0: [1, 0]}, 'b': {0: [1, 1]}}, outputs=False)
  found = paired_differences.to_baseline(kept, 'a')['b']
  assert (found.mean, found.interval, found.points(1)) == (0.5, None, '+50.0')
  assert 'allows no interval' in paired_differences.explain(kept, 'a')


def test_outputs_of_other_images_are_refused(tmp_path):
  other = comparison(tmp_path / 'run', {'a': {0: [1, 0]}, 'b': {0: [1, 1, 0]}})
  with pytest.raises(UserError, match='are of other images than those of'):
    paired_differences.to_baseline(other, 'a')


@pytest.mark.parametrize(
  ('labels', 'wanted', 'expected'),
  [
    (('pidkd', 'scratch', 'simkd'), None, 'simkd'),
    (('pidkd', 'kd', 'scratch'), None, 'scratch'),
    (('pidkd', 'kd'), None, 'pidkd'),
    (('pidkd', 'kd'), 'kd', 'kd'),
    (('pidkd', 'kd'), 'simkd', None),
  ],
)
def test_the_baseline(tmp_path, labels, wanted, expected):
  one = comparison(tmp_path / 'run', {label: {0: [1, 0]} for label in labels})
  assert paired_differences.choose_baseline(one, wanted) == expected


def test_the_baseline_is_a_method_whatever_its_label(tmp_path):
  rows = {'better': 'pidkd', 'alone': 'scratch', 'rival': 'simkd', 'again': 'simkd'}
  labels = [folders.Label(label, method=method) for label, method in rows.items()]
  for kept, expected in ((4, 'rival'), (2, 'alone'), (1, 'better')):
    folder = folders.run(tmp_path / str(kept), labels[:kept])
    one = Comparison(tuple(run_folder.find([folder])[0]))
    assert paired_differences.choose_baseline(one, None) == expected


def test_a_missing_baseline_is_unknown(tmp_path):
  one = comparison(tmp_path / 'run', {'simkd': {0: [1, 0]}, 'kd': {0: [1, 0]}})
  with pytest.raises(UserError, match="unknown baseline 'simdk'; did you mean 'simkd'"):
    paired_differences.require_baseline([one], 'simdk')
