"""The first signal is a request, the second one acts as before."""

import os
import signal
import threading

import pytest

from pidkd_jax.parallel.preemption import Preemption, Terminated, raise_terminated

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@pytest.fixture(params=SIGNALS)
def number(request):
  return request.param


@pytest.fixture
def received(number):
  """The signals that reach the handler from before."""
  signals = []
  before = signal.signal(number, lambda number, frame: signals.append(number))
  yield signals
  signal.signal(number, before)


def test_the_first_signal_is_a_request_and_the_second_acts_as_before(number, received):
  with Preemption() as preemption:
    assert not preemption.requested and preemption.signal is None
    os.kill(os.getpid(), number)
    assert preemption.requested
    assert (preemption.signal, received) == (number, [])
    os.kill(os.getpid(), number)
    assert (preemption.signal, received) == (number, [number])


def test_after_the_context_signals_act_as_before(number, received):
  with Preemption() as preemption:
    pass
  os.kill(os.getpid(), number)
  assert (preemption.signal, received) == (None, [number])


def test_an_error_restores_the_handlers(number, received):
  with pytest.raises(RuntimeError), Preemption():
    raise RuntimeError
  os.kill(os.getpid(), number)
  assert received == [number]


def test_a_second_signal_can_end_the_process(number, received):
  with Preemption(second_ends_process=True) as preemption:
    os.kill(os.getpid(), number)
    assert preemption.requested and preemption.signal == number
    assert signal.getsignal(number) == signal.SIG_DFL
  os.kill(os.getpid(), number)
  assert received == [number]


def test_a_stop_can_be_requested_without_a_signal():
  with Preemption() as preemption:
    assert not preemption.requested
    preemption.request()
    assert preemption.requested and preemption.signal is None


def test_off_the_main_thread_no_handler_is_installed(number, received):
  """Python raises ValueError where another thread installs one."""
  handler = signal.getsignal(number)
  seen = []

  def train():
    with Preemption() as preemption:
      signal.raise_signal(number)
      seen.append((signal.getsignal(number), preemption.requested))
      preemption.request()
      seen.append((signal.getsignal(number), preemption.requested))

  thread = threading.Thread(target=train)
  thread.start()
  thread.join()
  assert seen == [(handler, False), (handler, True)]
  assert signal.getsignal(number) == handler
  assert received == [number]


def test_an_ignored_hangup_stays_ignored():
  """`nohup` starts a program so."""
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  try:
    raise_terminated()
    with Preemption() as preemption:
      signal.raise_signal(signal.SIGHUP)
    assert not preemption.requested and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
  finally:
    signal.signal(signal.SIGHUP, before)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGHUP', 'SIGINT'])
def test_outside_of_a_training_a_signal_lets_contexts_clean_up(name):
  number = signal.Signals[name]
  before = [(each, signal.getsignal(each)) for each in SIGNALS]
  cleaned = []
  try:
    raise_terminated()
    with pytest.raises(Terminated) as stopped:
      try:
        signal.raise_signal(number)
      finally:
        cleaned.append(True)
    assert stopped.value.signal == number and cleaned
    assert not isinstance(stopped.value, Exception)
  finally:
    for each, handler in before:
      signal.signal(each, handler)
