"""How an epoch's time divides over the members of a cohort."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from pidkd_jax.core.types import Batch
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.learner import State
from pidkd_jax.training.step import observe

# Waiting for the device at every step would cost up to 14%.
_SAMPLE_EVERY = 20


class Stopwatch:
  """Times whole epochs, and a sample of steps part by part.

  Where several steps run in one compiled call nothing can be sampled, and only the whole is known.
  """

  def __init__(self, members: Sequence[str]):
    self._members = tuple(members)
    self._before = 0.0  # Of this epoch, before a resume.
    self._clear()
    self.start()

  def _clear(self) -> None:
    self._samples = 0
    self._observed = 0.0
    self._parts = dict.fromkeys(self._members, 0.0)

  def start(self) -> None:
    """Begins a stretch of training."""
    self._started = time.monotonic()

  def due(self, step: int) -> bool:
    """Whether a step of the epoch is to be sampled; not the first, which may compile."""
    return step % _SAMPLE_EVERY == 1

  def step(
    self, cohort: Cohort, states: Mapping[str, State], batch: Batch, step: jax.Array
  ) -> dict[str, State]:
    """`cohort.step`, part by part."""
    jax.block_until_ready((states, batch))
    self._samples += 1
    teacher, self._observed = _timed(self._observed, observe, cohort.teacher, batch)
    after = {}
    for name in cohort.names:
      after[name], self._parts[name] = _timed(
        self._parts[name], cohort.update, name, states[name], batch, teacher, step
      )
    return after

  def lap(self, steps: int) -> dict[str, dict[str, float]]:
    """Ends an epoch of so many steps; seconds by member.

    Returns:
      {member: {'wall_seconds': of the whole cohort with compilation, and from the samples,
      without it, 'seconds': of the member's own updates, 'teacher_seconds': of the teacher's
      forward passes}}.
    """
    wall = {'wall_seconds': self._before + time.monotonic() - self._started}
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
    """What a checkpoint must keep to go on within an epoch."""
    before = self._before + time.monotonic() - self._started
    return {
      'before': before,
      'samples': self._samples,
      'observed': self._observed,
      'parts': self._parts,
    }

  def restore(self, notes: Mapping[str, Any]) -> None:
    self._before, self._samples = notes['before'], notes['samples']
    self._observed, self._parts = notes['observed'], notes['parts']


def _timed(before, function, *args):
  """What a function returns, and the seconds it took on top of those before."""
  started = time.monotonic()
  result = jax.block_until_ready(function(*args))
  return result, before + time.monotonic() - started
