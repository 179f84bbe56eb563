"""Jobs side by side; `test_devices.py` trains in groups of devices."""

import signal
import threading
import time

import jax
import pytest

from pidkd_jax.core.errors import Stopped, UserError
from pidkd_jax.parallel import device_groups
from pidkd_jax.parallel.devices import DeviceGroup


@pytest.fixture
def groups():
  return [DeviceGroup((jax.devices()[0],), first=number == 0) for number in range(3)]


def wait_for(condition):
  deadline = time.monotonic() + 60
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(0.001)


def test_all_jobs_are_done_once_each_in_another_thread(groups):
  done, together = [], threading.Barrier(3, timeout=60)

  def job(number):
    def run(interruption):
      if number < 3:
        together.wait()  # Three at a time.
      assert not interruption.requested
      done.append((number, threading.current_thread()))

    return run

  device_groups.run_jobs(groups, map(job, range(7)))
  assert sorted(number for number, _ in done) == list(range(7))
  assert threading.main_thread() not in {thread for _, thread in done}


def test_a_single_group_works_here_and_each_job_notes_signals(groups):
  done = []
  device_groups.run_jobs(groups[:1], [lambda i: done.append((i, threading.current_thread()))] * 2)
  assert done == [(None, threading.main_thread())] * 2


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_and_the_jobs_ahead(groups, number):
  begun, saved, together = [], [], threading.Barrier(3, timeout=60)
  before = signal.getsignal(number)

  def job(interruption):
    begun.append(1)
    if together.wait() == 0:
      # To this thread: the main one sleeps on, as it does where a signal comes too early.
      signal.pthread_kill(threading.get_ident(), number)
    wait_for(lambda: interruption.requested)
    saved.append(1)
    raise Stopped('at step 3', 128 + number)

  with pytest.raises(Stopped, match=f'stopped by {number.name}; all groups .* saved') as stopped:
    device_groups.run_jobs(groups, [job] * 5)
  assert stopped.value.status == 128 + number
  assert len(begun) == len(saved) == 3
  assert signal.getsignal(number) == before


def test_what_fails_is_told_when_the_others_have_saved(groups):
  saved = []

  def fail(interruption):
    raise UserError('the disk is full')

  def job(interruption):
    wait_for(lambda: interruption.requested)
    saved.append(1)
    raise Stopped('at step 3', 143)

  with pytest.raises(UserError, match='the disk is full'):
    device_groups.run_jobs(groups, [job, fail, job, job])
  assert len(saved) <= 2
