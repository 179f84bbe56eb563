"""Both sides of a step: equal losses first, then times in turn."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from pidkd_jax.core.errors import UserError

# The form of `benchmarks.theirs` that stands for research code.
RESEARCH = 'plain'
# Relative difference of losses that counts as equal. TF32 has 10 bits and bfloat16 has 7.
TOLERANCE = {'float32': 1e-3, 'tf32': 5e-3, 'bfloat16': 5e-2}


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Seconds of each round of both sides.

  Attributes:
    steps: in a round.
  """

  ours: Sequence[float]
  theirs: Sequence[float]
  steps: int

  @property
  def ratios(self) -> list[float]:
    """Our speed over PyTorch's in each round, sorted."""
    return sorted(b / a for a, b in zip(self.ours, self.theirs, strict=True))

  @property
  def ratio(self) -> float:
    """Our speed over PyTorch's."""
    return statistics.median(self.ratios)

  def to_json(self) -> dict[str, float]:
    """Return milliseconds a step, and the ratio with its range."""
    ours, theirs = (
      1000 * statistics.median(seconds) / self.steps for seconds in (self.ours, self.theirs)
    )
    return {
      'ours_ms': ours,
      'theirs_ms': theirs,
      'ratio': self.ratio,
      'lowest': self.ratios[0],
      'highest': self.ratios[-1],
    }


def difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
  """Return the largest relative difference of losses."""
  return max(abs(a / b - 1) for a, b in zip(ours, theirs, strict=True))


def require_equal(apart: float, precision: str) -> None:
  """Raise UserError if losses differ by more than rounding."""
  allowed = TOLERANCE[precision]
  if not apart <= allowed:
    raise UserError(f'the losses are {apart:.1e} apart, more than {allowed}: not timed')


def compare(
  ours: Callable[[], None], theirs: Callable[[], None], steps: int, rounds: int
) -> Comparison:
  """Time rounds of both sides in turn, after one of each that is not timed."""
  sides = ours, theirs
  seconds: tuple[list[float], list[float]] = ([], [])
  for timed in [False] + [True] * rounds:
    for side, own in zip(sides, seconds, strict=True):
      taken = duration(side)
      if timed:
        own.append(taken)
  return Comparison(*seconds, steps)


def duration(function: Callable[[], None]) -> float:
  """Return the seconds of a call that waits for its result."""
  started = time.perf_counter()
  function()
  return time.perf_counter() - started


def verdict(ratios: Mapping[str, float]) -> str:
  """Say our speed over PyTorch's best form, and beside it over research code.

  Args:
    ratios: {form: our speed over its speed}.

  Example:
    >>> verdict({'compiled_graph': 0.8, 'plain': 4.5})
    'ours at 0.80 times the speed of the best form (compiled_graph), 4.50 times research code (plain)'
  """  # noqa: E501
  if ratios.keys() == {RESEARCH}:
    return f'no compiled form was measured; {ratios[RESEARCH]:.2f} times research code ({RESEARCH})'
  best = min(ratios, key=ratios.__getitem__)
  text = f'ours at {ratios[best]:.2f} times the speed of the best form ({best})'
  if RESEARCH in ratios:
    return f'{text}, {ratios[RESEARCH]:.2f} times research code ({RESEARCH})'
  return f'{text}; research code ({RESEARCH}) was not measured'
