"""Measurement of latency and memory, in rounds in which candidates answer in turn."""

import contextlib
import dataclasses
import statistics
from collections.abc import Sequence

import numpy as np

from pidkd_jax.latency import worker_process
from pidkd_jax.latency.candidate import Candidate


@dataclasses.dataclass(frozen=True)
class Measurement:
  """The calls of one candidate with batches of one size.

  Attributes:
    candidate: the candidate.
    platform: JAX's platform, such as 'cpu'.
    batch_size: number of images in a call.
    rounds: for each round the seconds of each call.
    peak_bytes: peak memory of the candidate's process up to its last call of this size.
  """

  candidate: Candidate
  platform: str
  batch_size: int
  rounds: tuple[tuple[float, ...], ...]
  peak_bytes: int

  @property
  def median(self) -> float:
    """Median of a call, in seconds."""
    return statistics.median(seconds for calls in self.rounds for seconds in calls)

  @property
  def p95(self) -> float:
    """95th percentile of a call, in seconds."""
    return float(np.quantile([seconds for calls in self.rounds for seconds in calls], 0.95))

  @property
  def round_range(self) -> tuple[float, float]:
    """Medians of the fastest and of the slowest round, in seconds."""
    medians = [statistics.median(calls) for calls in self.rounds]
    return min(medians), max(medians)


def measure(
  candidates: Sequence[Candidate],
  platform: str,
  batch_sizes: Sequence[int],
  rounds: int,
  seconds: float,
) -> list[Measurement]:
  """Measure candidates in turn, so that a slow time of the machine affects all of them.

  An untimed round comes first for each batch size.

  Args:
    candidates: the candidates, all of which run on the platform.
    platform: JAX's platform, such as 'cpu'.
    batch_sizes: numbers of images in a call. The smallest comes first, as a process's peak memory
      includes that of all earlier sizes.
    rounds: number of timed rounds for each size.
    seconds: approximate time of a candidate's calls in a round.

  Returns:
    A measurement for each candidate and size, by candidate, then by size.

  Raises:
    UserError: A candidate fails.
  """
  measurements = []
  with contextlib.ExitStack() as stack:
    workers = [stack.enter_context(worker_process.start(c, platform)) for c in candidates]
    for batch_size in sorted(set(batch_sizes)):
      requests = [
        {'shape': (batch_size, *candidate.image_shape), 'calls': 0, 'seconds': seconds}
        for candidate in candidates
      ]
      timed = [[] for _ in workers]
      peaks = [0 for _ in workers]
      for number in range(rounds + 1):
        for i, worker in enumerate(workers):
          answer = worker.ask(requests[i])
          requests[i]['calls'] = len(answer['seconds'])
          peaks[i] = answer['peak_bytes']
          if number:  # Round 0 is the warm-up.
            timed[i].append(tuple(answer['seconds']))
      for candidate, calls, peak in zip(candidates, timed, peaks, strict=True):
        measurements.append(Measurement(candidate, platform, batch_size, tuple(calls), peak))
  return sorted(measurements, key=lambda m: (candidates.index(m.candidate), m.batch_size))
