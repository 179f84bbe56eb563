"""Run several trainings at once, each on its own group of devices."""

import concurrent.futures
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from pidkd_jax.core.errors import Stopped
from pidkd_jax.parallel.devices import DeviceGroup
from pidkd_jax.parallel.preemption import Preemption

logger = logging.getLogger(__name__)

# Python runs signal handlers in the main thread alone. A signal that arrives just before that
# thread sleeps, or in another thread, does not wake it. So the main thread never sleeps for longer.
_POLL_SECONDS = 0.2

# A training. It stops when the preemption requests it, or watches for signals itself if given None.
Job = Callable[[Preemption | None], None]


def run_jobs(groups: Sequence[DeviceGroup], jobs: Iterable[Job]) -> None:
  """Run all jobs: each free group takes the next one, in a thread of its own.

  A signal stops all groups, and so does a job that fails. Every group saves before it stops.

  Args:
    groups: the groups of devices; a single group works in the calling thread.
    jobs: trainings that do not depend on one another.

  Raises:
    Stopped: SIGTERM or SIGINT arrived, and all groups have saved.
    Exception: the exception of the first job that failed.
  """
  jobs = iter(jobs)
  if len(groups) == 1:
    for job in jobs:
      job(None)
    return
  failures: list[Exception] = []
  with Preemption(second_ends_process=True) as preemption:
    with concurrent.futures.ThreadPoolExecutor(len(groups)) as pool:
      workers = [pool.submit(_work, group, jobs, preemption, failures) for group in groups]
      while concurrent.futures.wait(workers, _POLL_SECONDS).not_done:
        pass
  if failures:
    raise failures[0]
  if preemption.signal:
    raise Stopped(
      f'stopped by {preemption.signal.name}; all groups of devices have saved, the same command '
      'goes on from there',
      status=128 + preemption.signal,
    )


def _work(
  group: DeviceGroup, jobs: Iterator[Job], preemption: Preemption, failures: list[Exception]
) -> None:
  """Run one job after another on a group; all groups share `jobs` and `failures`."""
  try:
    with group.activate():
      while not preemption.requested and (job := next(jobs, None)):
        job(preemption)
  except Stopped:
    pass  # The job has saved, as requested.
  except Exception as error:
    failures.append(error)
    preemption.request()
    logger.warning('%s; the other groups save and stop', error)
