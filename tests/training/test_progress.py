"""The lines that a training writes, and its live line where somebody sees one."""

import logging
import re
import sys
import types

import pytest

from pidkd_jax.training import progress
from pidkd_jax.training.progress import Figure, Progress

FIGURES = [
  Figure('pidkd', 0.25, 0.974),
  Figure('kd_1_1', 1.5, 0.942),
  Figure('scratch', 2.0, 0.888),
]


class Clock:
  """A clock that only the tests move, for tqdm too."""

  now = 1000.0

  def __call__(self):
    return self.now


@pytest.fixture
def clock(monkeypatch):
  clock = Clock()
  monkeypatch.setattr(progress.time, 'monotonic', clock)
  return clock


@pytest.fixture
def watched(monkeypatch):
  """Have a live line in a terminal of 80 columns."""
  monkeypatch.setattr(progress, 'is_watched', lambda: True)
  bars = []
  tqdm = progress.auto.tqdm

  def narrow(*args, **kwargs):
    bars.append(tqdm(*args, **{**kwargs, 'dynamic_ncols': False, 'ncols': 80}))
    return bars[-1]

  monkeypatch.setattr(progress.auto, 'tqdm', narrow)
  return bars


def lines(caplog, evaluated):
  shown = Progress('students', epochs=len(evaluated), images_per_epoch=50, done=0)
  with caplog.at_level(logging.INFO):
    for epoch, due in enumerate(evaluated, start=1):
      figures = [Figure('pidkd', 1.0, 0.5 if due else None)]
      shown.epoch(epoch, figures, 'test top-1', seconds=0.1, images=50)
  shown.close()
  return [record.getMessage() for record in caplog.records]


def epochs(lines):
  return [re.search(r'epoch \S+(?=:)', line)[0] for line in lines]


def test_short_epochs_have_a_line_only_where_they_are_evaluated(caplog):
  found = lines(caplog, [False, True, False, False, True])
  assert epochs(found) == ['epoch 2/5', 'epoch 5/5']
  assert found[0] == (
    'students: epoch 2/5: loss 1.0000, test top-1 50.00%; 500 images/s, 00:00 left'
  )


def test_long_epochs_have_a_line_each(caplog, monkeypatch):
  monkeypatch.setattr(progress, '_LINE_SECONDS', -1)
  assert epochs(lines(caplog, [False, True, False])) == ['epoch 1/3', 'epoch 2/3', 'epoch 3/3']


def test_a_terminal_has_a_line_an_epoch_without_what_the_bar_shows(caplog, watched):
  assert lines(caplog, [True]) == ['students: epoch 1/1: loss 1.0000, test top-1 50.00%']


@pytest.mark.parametrize(
  'count, columns, expected',
  [
    (2, 100, 'test top-1 pidkd 97.40%, kd_1_1 94.20%; loss 0.2500, 1.5000'),
    (3, 60, 'test top-1 pidkd 97.40%, kd_1_1 94.20%, scratch 88.80%'),
    (3, 20, 'test top-1 pidkd 97.40%, kd_1_1 94.20%, scratch 88.80%'),
  ],
)
def test_losses_stand_in_the_line_where_they_fit(count, columns, expected):
  assert progress.describe(FIGURES[:count], 'test top-1', columns) == expected


def test_many_labels_are_cut_at_the_margin_and_counted():
  figures = [Figure(f'row{number}', 0.5) for number in range(20)]
  text = progress.describe(figures, 'test top-1', 80)
  assert text == (
    'loss ' + ', '.join(f'row{number} 0.5000' for number in range(5)) + ' and 15 more'
  )
  assert len(text) <= 80


def test_figures_are_means_over_trials_in_the_order_of_labels():
  rows = [
    {'label': 'b', 'train_loss': 1.0, 'test_top1': 0.5},
    {'label': 'a', 'train_loss': 5.0, 'test_top1': 0.1},
    {'label': 'b', 'train_loss': 2.0, 'test_top1': 0.7},
  ]
  assert progress.figures(rows, 'test_top1') == [Figure('b', 1.5, 0.6), Figure('a', 5.0, 0.1)]
  assert progress.figures(rows, 'holdout_top1')[0] == Figure('b', 1.5, None)


@pytest.mark.parametrize('columns, shown', [(80, False), (100, True), (160, True)])
def test_the_live_line_fits_the_width_and_keeps_rate_and_time(watched, columns, shown):
  training = Progress('students', epochs=240, images_per_epoch=50_000, done=0)
  [bar] = watched
  bar.ncols = columns
  training.loss(123, 12.3456, 'pidkd-0')
  bar.start_t -= 100
  bar.n += 100_000
  line = str(bar)
  assert len(line) == columns
  assert line.startswith('students: epoch 123/240, loss 12.3456')
  assert ' images/s, ' in line and line.endswith(' left') and ('(pidkd-0)' in line) == shown
  training.close()


def test_neither_a_pause_nor_what_compiled_counts_in_rate_and_time_left(watched, clock):
  training = Progress('students', epochs=2, images_per_epoch=500, done=0)
  [bar] = watched
  now = bar.start_t
  bar._time = lambda: now + clock.now - 1000
  with training.pause():
    clock.now += 60
  training.skip(100)
  clock.now += 4
  bar.n += 400
  with training.pause('evaluating'):
    assert 'epoch 1/2, evaluating' in str(bar)
    clock.now += 60
  rate = re.search(r'(\S+) images/s, (\S+) left', str(bar))
  assert (rate[1], rate[2]) == ('100', '00:05')
  training.close()


def test_the_live_line_keeps_the_loss_of_the_epoch_before(watched):
  training = Progress('students', epochs=3, images_per_epoch=50, done=0)
  training.epoch(1, FIGURES, 'test top-1', 0.1, 50)
  assert str(watched[0]).startswith('students: epoch 2/3, loss 0.2500 (pidkd) |')
  training.close()


@pytest.mark.parametrize('config, shown', [({'IPKernelApp': {}}, True), ({}, False)])
def test_a_notebook_has_a_bar_and_a_script_in_ipython_has_none(config, shown, monkeypatch, capsys):
  shell = types.SimpleNamespace(config=config)
  ipython = types.SimpleNamespace(get_ipython=lambda: shell)
  monkeypatch.setitem(sys.modules, 'IPython', ipython)
  bar = Progress('students', epochs=2, images_per_epoch=50, done=50)
  bar.advance(50)
  bar.epoch(1, FIGURES[:1], 'test top-1', 0.1, 50)
  bar.close()
  err = capsys.readouterr().err
  assert ('students: epoch 2/2 ' in err) == shown
  # The log may be off in a notebook, so the last accuracy stands in the bar.
  assert bar._latest == (' (before: loss 0.2500, test top-1 97.40%)' if shown else '')


def test_a_process_without_a_terminal_has_no_bar(capsys):
  Progress('students', epochs=2, images_per_epoch=50, done=50).close()
  with progress.working('reading'):
    pass
  assert not capsys.readouterr().err


@pytest.mark.parametrize('seconds, told', [(41.6, True), (0.4, False)])
def test_work_is_said_before_it_begins_and_with_its_time(caplog, clock, seconds, told):
  with caplog.at_level(logging.INFO, 'pidkd_jax'):
    with progress.working('students: compiling 6 programs', total=6, told=True):
      assert caplog.messages == ['students: compiling 6 programs ...']
      clock.now += seconds
  assert caplog.messages[1:] == (['students: compiling 6 programs took 41.6 s'] if told else [])


def test_work_has_a_live_line_with_its_parts(watched, capsys):
  with progress.working('students: compiling 6 programs', total=6) as done:
    done()
    [line] = watched
    assert str(line) == 'students: compiling 6 programs ... 1 of 6, 00:00'
