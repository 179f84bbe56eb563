"""The stopwatch, by a clock that only the tests move."""

import json
import unittest.mock

import pytest

from pidkd_jax.training import stopwatch
from pidkd_jax.training.loop import _Training
from pidkd_jax.training.stopwatch import Stopwatch


class Clock:
  """A clock that `Work` and the tests set forward."""

  now = 100.0


@pytest.fixture
def clock(monkeypatch):
  clock = Clock()
  monkeypatch.setattr(stopwatch.time, 'monotonic', lambda: clock.now)
  return clock


class Work:
  """A cohort whose teacher takes 5 seconds, and whose updates take 2 and 3."""

  names = ('a', 'b')

  def __init__(self, clock):
    self._clock = clock

  def observe(self, batch):
    self._clock.now += 5.0

  def update(self, name, state, batch, teacher, step):
    self._clock.now += {'a': 2.0, 'b': 3.0}[name]
    return state + 1


@pytest.fixture
def work(clock):
  return Work(clock)


def wall(seconds, compiled=0):
  return {'wall_seconds': seconds, 'compile_seconds': compiled}


def test_without_a_sample_only_the_whole_epoch_is_timed(clock):
  watch = Stopwatch(['a', 'b'])
  clock.now += 7
  assert watch.lap(4) == {'a': wall(7), 'b': wall(7)}


def test_samples_are_scaled_to_the_epoch(clock, work):
  watch = Stopwatch(['a', 'b'])
  states = {'a': 0, 'b': 10}
  for _ in range(2):
    states = watch.step(work, states, None, 0)
  assert states == {'a': 2, 'b': 12}
  clock.now += 1
  assert watch.lap(40) == {
    'a': wall(21) | {'seconds': 80, 'teacher_seconds': 200},
    'b': wall(21) | {'seconds': 120, 'teacher_seconds': 200},
  }
  # The next epoch starts from 0.
  clock.now += 9  # Evaluation.
  watch.start()
  clock.now += 4
  assert watch.lap(40)['a'] == wall(4)


def test_a_call_that_compiled_is_left_out_and_its_steps_take_as_long_as_the_others(clock):
  watch = Stopwatch(['a'])
  with watch.leave_out(5):
    clock.now += 60
  clock.now += 3
  notes = json.loads(json.dumps(watch.notes()))
  resumed = Stopwatch(['a'])
  with resumed.leave_out():  # The new process compiles ahead.
    clock.now += 7
  resumed.restore(notes)
  clock.now += 1
  assert resumed.lap(25)['a'] == wall(5, compiled=67)
  resumed.start()
  clock.now += 2
  assert resumed.lap(25)['a'] == wall(2)  # The next epoch compiles nothing.


def test_an_epoch_of_one_call_that_compiled_has_that_calls_time(clock):
  watch = Stopwatch(['a'])
  with watch.leave_out():
    clock.now += 60
  with watch.leave_out(10):
    clock.now += 3
  assert watch.lap(10)['a'] == wall(3, compiled=63)


def test_a_resume_within_an_epoch_keeps_the_time_before(clock, work):
  watch = Stopwatch(['a', 'b'])
  watch.step(work, {'a': 0, 'b': 0}, None, 0)
  notes = json.loads(json.dumps(watch.notes()))
  clock.now += 1000
  resumed = Stopwatch(['a', 'b'])
  resumed.restore(notes)
  clock.now += 2
  assert resumed.lap(10)['b'] == wall(12) | {'seconds': 30, 'teacher_seconds': 50}


def sampled(work, steps):
  """Return the steps that are due where each of them is sampled."""
  watch, states, due = Stopwatch(work.names), dict.fromkeys(work.names, 0), []
  for step in steps:
    if watch.due(step):
      due.append(step)
      watch.step(work, states, None, step)
  return due


def test_the_first_step_of_an_epoch_is_not_sampled(work):
  due = sampled(work, range(60))
  assert due and due[0] != 0 and len(due) <= 6


@pytest.mark.parametrize('first', [2, 8])
def test_the_first_step_after_a_resume_within_an_epoch_is_sampled(first, work):
  """The one before it ran for the first time, and is no sample."""
  due = sampled(work, range(first, 60))
  assert due[0] == first and due[1:] == [step for step in sampled(work, range(60)) if step > first]


@pytest.mark.parametrize('is_ready', [False, True])
def test_a_call_that_runs_for_the_first_time_is_no_sample(is_ready):
  """After a resume it may be a step that is due, and it may compile."""
  training, stopwatch_, lanes = (unittest.mock.MagicMock() for _ in range(3))
  training._stopwatch, training._lanes, training._is_ready = stopwatch_, lanes, is_ready
  training._step, training._batches.steps_per_epoch, training._calls.steps = 1, 40, 1
  stopwatch_.due = Stopwatch(['a']).due
  training._states = {}
  stopwatch_.step.return_value = lanes.step.return_value = {'a': 1}
  _Training._advance(training, None, 1)
  assert (stopwatch_.step.called, lanes.step.called) == (is_ready, not is_ready)
  assert (training._step, training._states) == (2, {'a': 1})
