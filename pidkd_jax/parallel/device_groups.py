"""Several trainings at once, each on a group of devices of its own."""

import concurrent.futures
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from pidkd_jax.core.errors import Stopped
from pidkd_jax.parallel.devices import DeviceGroup
from pidkd_jax.parallel.preemption import Preemption

logger = logging.getLogger(__name__)

# The main thread does not sleep for longer: a signal that comes just before it falls asleep, or to
# another thread, does not wake it, and Python's handlers run in it alone.
_ASLEEP_SECONDS = 0.2

# A training; it stops where the interruption wants it to, or without one notes signals itself.
Job = Callable[[Preemption | None], None]


def run_jobs(groups: Sequence[DeviceGroup], jobs: Iterable[Job]) -> None:
  """Does all jobs; each group that is free takes the next one, in a thread of its own.

  A signal stops all groups, and so does a job that fails: each saves first.

  Args:
    groups: of devices; a single one works in the calling thread.
    jobs: that do not depend on one another.

  Raises:
    Stopped: on SIGTERM or SIGINT, when all groups have saved.
    Exception: of the first job that failed.
  """
  jobs = iter(jobs)
  if len(groups) == 1:
    for job in jobs:
      job(None)
    return
  failures: list[Exception] = []
  with Preemption(at_once=True) as interruption:
    with concurrent.futures.ThreadPoolExecutor(len(groups)) as pool:
      working = [pool.submit(_work, group, jobs, interruption, failures) for group in groups]
      while concurrent.futures.wait(working, _ASLEEP_SECONDS).not_done:
        pass
  if failures:
    raise failures[0]
  if interruption.signal:
    raise Stopped(
      f'stopped by {interruption.signal.name}; all groups of devices have saved, the same command '
      'goes on from there',
      status=128 + interruption.signal,
    )


def _work(
  group: DeviceGroup, jobs: Iterator[Job], interruption: Preemption, failures: list[Exception]
) -> None:
  """Does one job after the other on a group; `jobs` and `failures` are those of all groups."""
  try:
    with group.entered():
      while not interruption.requested and (job := next(jobs, None)):
        job(interruption)
  except Stopped:
    pass  # As was wanted.
  except Exception as error:
    failures.append(error)
    interruption.request()
    logger.warning('%s; the others save and stop', error)
