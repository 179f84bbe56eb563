"""Whether a file says what its bundle says, on every test image."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import classification
from pidkd_jax.evaluation.inference import BATCH_SIZE
from pidkd_jax.export.deployable import Deployable

# How far a logit of an exact format may be from the bundle's.
TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Agreement:
  """How a file and its bundle compare.

  Attributes:
    images: N.
    largest_difference: of any logit, absolute; NaN where the file gives one.
    other_predictions: images of which the file predicts another class.
    top1: of the file, in [0, 1].
    bundle_top1: of the bundle, likewise.
  """

  images: int
  largest_difference: float
  other_predictions: int
  top1: float
  bundle_top1: float

  def lost(self) -> float:
    """Top-1 that the file costs, in points."""
    return 100 * (self.bundle_top1 - self.top1)

  def facts(self) -> dict[str, Any]:
    """What a card says of it."""
    return dataclasses.asdict(self)


def compare(
  run: Callable[[np.ndarray], np.ndarray],
  deployable: Deployable,
  test: Split,
  expected: np.ndarray,
) -> Agreement:
  """Runs a file over a split, in batches of several sizes: the first image comes alone.

  Args:
    run: images [B, H, W, C] as the deployable takes them -> logits [B, K].
    deployable: that the file was written from.
    test: the split.
    expected: the bundle's logits, float32 [N, K].
  """
  found = [np.asarray(run(deployable.prepare(pixels))) for pixels in _batches(test)]
  found = np.concatenate(found)
  return Agreement(
    images=len(test),
    largest_difference=float(np.max(np.abs(found - expected))),
    other_predictions=int(np.sum(found.argmax(axis=1) != expected.argmax(axis=1))),
    top1=classification.top_k(found, test.labels, 1),
    bundle_top1=classification.top_k(expected, test.labels, 1),
  )


def _batches(test: Split) -> Iterator[np.ndarray]:
  """A split's images, uint8 [B, H, W, C]: the first one, the rest of a whole batch, whole ones."""
  for number, block in enumerate(test.blocks(BATCH_SIZE)):
    pixels = np.asarray(block)[: len(test) - number * BATCH_SIZE]
    yield from (pixels[:1], pixels[1:]) if not number and len(pixels) > 1 else (pixels,)


def check(what: str, agreement: Agreement, largest_loss: float | None) -> None:
  """Refuses a file that does not agree with its bundle.

  Args:
    what: it is, for the message.
    agreement: as `compare` gives it.
    largest_loss: top-1 in points that the file may cost; None: logits and top-1 are the bundle's.

  Raises:
    UserError: it does not.
  """
  difference = agreement.largest_difference
  if largest_loss is None:
    # What is not a number is not at most the tolerance either.
    if not difference <= TOLERANCE or agreement.top1 != agreement.bundle_top1:
      raise UserError(
        f'{what} is not kept: its logits differ by {difference:.2g} from the '
        f"bundle's ({TOLERANCE:.0e} may be) and its top-1 is {100 * agreement.top1:.2f}% against "
        f'{100 * agreement.bundle_top1:.2f}%; export it in another format'
      )
  elif not math.isfinite(difference) or agreement.lost() > largest_loss:
    raise UserError(
      f'{what} is not kept: it costs {agreement.lost():.2f} points of top-1 '
      f'({100 * agreement.top1:.2f}% against {100 * agreement.bundle_top1:.2f}%) and '
      f'--largest_loss={largest_loss:g} may be; allow more, or export it in another format'
    )
