import os
import signal

import pytest

from pidkd_jax.parallel.preemption import Preemption


@pytest.fixture(params=[signal.SIGTERM, signal.SIGINT])
def number(request):
  return request.param


@pytest.fixture
def received(number):
  """The signals that reach the handler which stood before."""
  found = []
  before = signal.signal(number, lambda number, frame: found.append(number))
  yield found
  signal.signal(number, before)


def test_the_first_signal_is_noted_and_the_second_acts_as_ever(number, received):
  with Preemption() as interruption:
    assert interruption.signal is None
    os.kill(os.getpid(), number)
    assert (interruption.signal, received) == (number, [])
    os.kill(os.getpid(), number)
    assert (interruption.signal, received) == (number, [number])


def test_afterwards_signals_act_as_ever(number, received):
  with Preemption() as interruption:
    pass
  os.kill(os.getpid(), number)
  assert (interruption.signal, received) == (None, [number])


def test_handlers_come_back_after_an_error_too(number, received):
  with pytest.raises(RuntimeError), Preemption():
    raise RuntimeError
  os.kill(os.getpid(), number)
  assert received == [number]


def test_where_threads_are_at_work_a_second_signal_ends_the_process(number, received):
  with Preemption(at_once=True) as interruption:
    os.kill(os.getpid(), number)
    assert interruption.requested and interruption.signal == number
    assert signal.getsignal(number) == signal.SIG_DFL
  os.kill(os.getpid(), number)
  assert received == [number]


def test_a_stop_may_be_asked_for_without_a_signal(number, received):
  with Preemption() as interruption:
    assert not interruption.requested
    interruption.request()
    assert interruption.requested and interruption.signal is None
