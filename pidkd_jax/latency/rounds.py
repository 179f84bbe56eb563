"""Rounds in which subjects answer in turn, each in a process of its own."""

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.latency.subject import Subject


@dataclasses.dataclass(frozen=True)
class Measurement:
  """What one subject took for batches of one size.

  Attributes:
    subject: that answered.
    platform: of JAX.
    batch: images in a call.
    rounds: seconds of each call, by round.
    peak_bytes: the most memory that its process had until then.
  """

  subject: Subject
  platform: str
  batch: int
  rounds: tuple[tuple[float, ...], ...]
  peak_bytes: int

  @property
  def median(self) -> float:
    """Seconds of a call."""
    return statistics.median(second for one in self.rounds for second in one)

  @property
  def p95(self) -> float:
    """Seconds that 95% of the calls do not exceed."""
    return float(np.quantile([second for one in self.rounds for second in one], 0.95))

  @property
  def spread(self) -> tuple[float, float]:
    """The medians of the fastest and of the slowest round, seconds."""
    medians = [statistics.median(one) for one in self.rounds]
    return min(medians), max(medians)


def measure(
  subjects: Sequence[Subject],
  platform: str,
  batch_sizes: Sequence[int],
  rounds: int,
  seconds: float,
) -> list[Measurement]:
  """Lets subjects answer in turn; a slow time of the machine so meets all of them.

  Args:
    subjects: all that can run there.
    platform: of JAX, e.g. 'cpu'.
    batch_sizes: in any order; the smallest comes first, as its memory counts for the others too.
    rounds: for each size.
    seconds: that a subject has in a round.

  Returns:
    By subject, each by batch size.

  Raises:
    UserError: a subject fails.
  """
  found = []
  with contextlib.ExitStack() as stack:
    workers = [stack.enter_context(_worker(subject, platform)) for subject in subjects]
    for batch in sorted(set(batch_sizes)):
      asked = [
        {'shape': (batch, *subject.image_shape), 'calls': 0, 'seconds': seconds}
        for subject in subjects
      ]
      taken = [[] for _ in workers]
      peaks = [0 for _ in workers]
      for number in range(rounds + 1):
        for i, worker in enumerate(workers):
          answer = worker.ask(asked[i])
          asked[i]['calls'] = len(answer['seconds'])
          peaks[i] = answer['peak_bytes']
          if number:  # The first is the warm-up.
            taken[i].append(tuple(answer['seconds']))
      for subject, own, peak in zip(subjects, taken, peaks, strict=True):
        found.append(Measurement(subject, platform, batch, tuple(own), peak))
  return sorted(found, key=lambda one: (subjects.index(one.subject), one.batch))


class _Worker:
  """A process of `worker` that waits for requests."""

  def __init__(self, subject: Subject, process: subprocess.Popen, said: IO[str]):
    self._subject, self._process, self._said = subject, process, said

  def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
    with contextlib.suppress(BrokenPipeError):
      print(json.dumps(request), file=self._process.stdin, flush=True)
    answer = self._process.stdout.readline()
    if not answer:
      self._said.seek(0)
      last = self._said.read().strip().rpartition('\n')[2]
      raise UserError(f'{str(self._subject.file)!r} cannot be run here: {last}')
    return json.loads(answer)


@contextlib.contextmanager
def _worker(subject: Subject, platform: str) -> Iterator[_Worker]:
  # What this process finds, the worker finds: the package, and networks of the user's own.
  path = os.pathsep.join(filter(None, sys.path))
  with (
    tempfile.TemporaryFile('w+') as said,
    subprocess.Popen(
      [sys.executable, '-m', *subject.command],
      env=os.environ | {'JAX_PLATFORMS': platform, 'PYTHONPATH': path},
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=said,
      text=True,
    ) as process,
  ):
    try:
      yield _Worker(subject, process, said)
    finally:
      process.kill()
      with contextlib.suppress(BrokenPipeError):  # Of a request that nobody took.
        process.stdin.close()
