"""Measure how an epoch's time divides over the members of a cohort."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from pidkd_jax.core.types import Batch
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.learner import State

# A timed step waits for the device. If every step did, training would be up to 14% slower.
_SAMPLE_EVERY = 20


class Stopwatch:
  """Time whole epochs, and a sample of steps member by member.

  Where several steps run in one compiled call, only whole epochs are timed.
  """

  def __init__(self, members: Sequence[str]):
    self._members = tuple(members)
    self._before = 0.0  # Seconds of this epoch before a resume.
    self._clear()
    self.start()

  def _clear(self) -> None:
    self._samples = 0
    self._observed = 0.0
    # What compiled: the steps of calls, their seconds, and those of programs ahead of calls.
    self._left_out, self._call_seconds, self._ahead_seconds = 0, 0.0, 0.0
    self._parts = dict.fromkeys(self._members, 0.0)

  def start(self) -> None:
    """Begin a stretch of training."""
    self._started = time.monotonic()

  @contextlib.contextmanager
  def leave_out(self, steps: int = 0) -> Iterator[None]:
    """Leave out a compilation.

    Args:
      steps: that its call also takes, 0 ahead of calls. The epoch's time is scaled from its other
        steps.
    """
    began = time.monotonic()
    yield
    seconds = time.monotonic() - began
    self._started += seconds
    self._left_out += steps
    if steps:
      self._call_seconds += seconds
    else:
      self._ahead_seconds += seconds

  def due(self, step: int) -> bool:
    """Return whether to sample a step of the epoch, counted from 0."""
    # The first step after a start compiles and is not sampled, so the next one is.
    return step % _SAMPLE_EVERY == 1 or (step > 1 and not self._samples)

  def step(
    self, cohort: Cohort, states: Mapping[str, State], batch: Batch, step: jax.Array
  ) -> dict[str, State]:
    """Take `cohort.step` and time the teacher and each member."""
    jax.block_until_ready((states, batch))
    self._samples += 1
    teacher, self._observed = _timed(self._observed, cohort.observe, batch)
    after = {}
    for name in cohort.names:
      after[name], self._parts[name] = _timed(
        self._parts[name], cohort.update, name, states[name], batch, teacher, step
      )
    return after

  def lap(self, steps: int) -> dict[str, dict[str, float]]:
    """End an epoch.

    Args:
      steps: number of steps in the epoch.

    Returns:
      {member: {name: seconds}}. 'wall_seconds' are those of the whole cohort without compilation,
      which has its own 'compile_seconds'. The others are scaled from the samples: 'seconds' of the
      member's own updates, and 'teacher_seconds' of the teacher's forward passes. Where every call
      of the epoch compiled, nothing else is known, and 'wall_seconds' are theirs.
    """
    seconds, timed = self._before + time.monotonic() - self._started, steps - self._left_out
    wall = {
      'wall_seconds': seconds * steps / timed if timed > 0 else self._call_seconds,
      'compile_seconds': self._call_seconds + self._ahead_seconds,
    }
    laps = dict.fromkeys(self._members, wall)
    if self._samples:
      scale = steps / self._samples
      laps = {
        name: wall | {'seconds': part * scale, 'teacher_seconds': self._observed * scale}
        for name, part in self._parts.items()
      }
    self._clear()
    self._before = 0.0
    return laps

  def notes(self) -> dict[str, Any]:
    """Return the JSON values with which `restore` goes on within an epoch."""
    before = self._before + time.monotonic() - self._started
    return {
      'before': before,
      'samples': self._samples,
      'observed': self._observed,
      'parts': self._parts,
      'left_out': [self._left_out, self._call_seconds, self._ahead_seconds],
    }

  def restore(self, notes: Mapping[str, Any]) -> None:
    """Go on within the epoch in which `notes` were taken."""
    self._before, self._samples = notes['before'], notes['samples']
    self._observed, self._parts = notes['observed'], notes['parts']
    # Older checkpoints lack it.
    steps, call_seconds, ahead_seconds = notes.get('left_out', (0, 0.0, 0.0))
    self._left_out += steps
    self._call_seconds += call_seconds
    self._ahead_seconds += ahead_seconds


def _timed(before, function, *args):
  """Call a function; return its result, and the seconds that it took added to those before."""
  started = time.monotonic()
  result = jax.block_until_ready(function(*args))
  return result, before + time.monotonic() - started
