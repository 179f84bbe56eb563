"""Jobs on several groups at once; `test_devices.py` trains on groups of devices."""

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
  return [DeviceGroup((jax.devices()[0],), is_default=number == 0) for number in range(3)]


def wait_for(condition):
  deadline = time.monotonic() + 60
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(0.001)


def test_each_job_runs_once_off_the_main_thread(groups):
  done, barrier = [], threading.Barrier(3, timeout=60)

  def job(number):
    def run(preemption):
      if number < 3:
        barrier.wait()  # Three jobs run at a time.
      assert not preemption.requested
      done.append((number, threading.current_thread()))

    return run

  device_groups.run_jobs(groups, map(job, range(7)))
  assert sorted(number for number, _ in done) == list(range(7))
  assert threading.main_thread() not in {thread for _, thread in done}


def test_a_single_group_runs_in_this_thread_and_its_jobs_watch_for_signals(groups):
  done = []

  def job(preemption):
    done.append((preemption, threading.current_thread()))

  device_groups.run_jobs(groups[:1], [job, job])
  assert done == [(None, threading.main_thread())] * 2


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_groups_and_starts_no_further_job(groups, number):
  started, saved, barrier = [], [], threading.Barrier(3, timeout=60)
  before = signal.getsignal(number)

  def job(preemption):
    started.append(1)
    if barrier.wait() == 0:
      # A signal to this thread leaves the main thread asleep, as a signal that is too early does.
      signal.pthread_kill(threading.get_ident(), number)
    wait_for(lambda: preemption.requested)
    saved.append(1)
    raise Stopped('at step 3', 128 + number)

  with pytest.raises(Stopped, match=f'stopped by {number.name}; all groups .* saved') as stopped:
    device_groups.run_jobs(groups, [job] * 5)
  assert stopped.value.status == 128 + number
  assert len(started) == len(saved) == 3
  assert signal.getsignal(number) == before


def test_a_failure_is_raised_when_the_other_groups_have_saved(groups):
  saved = []

  def fail(preemption):
    raise UserError('the disk is full')

  def job(preemption):
    wait_for(lambda: preemption.requested)
    saved.append(1)
    raise Stopped('at step 3', 143)

  with pytest.raises(UserError, match='the disk is full'):
    device_groups.run_jobs(groups, [job, fail, job, job])
  assert len(saved) <= 2
