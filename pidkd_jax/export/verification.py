"""Verification of an exported file: its logits against its bundle's on every test image."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import classification
from pidkd_jax.evaluation.inference import BATCH_SIZE
from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.format import Runner

# Largest absolute difference between logits of an exact format and of the bundle.
TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Agreement:
  """The agreement of a file with its bundle.

  Attributes:
    images: N, the number of test images.
    largest_difference: largest absolute difference of a logit; NaN if the file returns one.
    other_predictions: number of images for which the file predicts another class.
    top1: accuracy of the file, in [0, 1].
    bundle_top1: accuracy of the bundle, in [0, 1].
  """

  images: int
  largest_difference: float
  other_predictions: int
  top1: float
  bundle_top1: float

  @property
  def loss(self) -> float:
    """Top-1 that the file costs, in points."""
    return 100 * (self.bundle_top1 - self.top1)

  def to_card(self) -> dict[str, Any]:
    """Return the card's entry on the verification."""
    return dataclasses.asdict(self)


def compare(run: Runner, deployable: Deployable, test: Split, expected: np.ndarray) -> Agreement:
  """Run a file over a split, in batches of several sizes, and compare its logits.

  Args:
    run: the file, as `Format.load` returns it.
    deployable: the function that the file was written from.
    test: the split.
    expected: float32 [N, K], the bundle's logits.
  """
  logits = np.concatenate([np.asarray(run(deployable.prepare(p))) for p in _batches(test)])
  return Agreement(
    images=len(test),
    largest_difference=float(np.max(np.abs(logits - expected))),
    other_predictions=int(np.sum(logits.argmax(axis=1) != expected.argmax(axis=1))),
    top1=classification.top_k(logits, test.labels, 1),
    bundle_top1=classification.top_k(expected, test.labels, 1),
  )


def _batches(test: Split) -> Iterator[np.ndarray]:
  """Yield a split's images, uint8 [B, H, W, C]: the first alone, then batches of BATCH_SIZE."""
  for number, block in enumerate(test.blocks(BATCH_SIZE)):
    pixels = np.asarray(block)[: len(test) - number * BATCH_SIZE]
    yield from (pixels[:1], pixels[1:]) if not number and len(pixels) > 1 else (pixels,)


def require(name: str, agreement: Agreement, largest_loss: float | None) -> None:
  """Raise UserError unless a file agrees with its bundle.

  Args:
    name: the file's name in the message.
    agreement: the file's agreement.
    largest_loss: points of top-1 that the file may cost. None requires equal top-1, and logits
      within `TOLERANCE`.
  """
  difference = agreement.largest_difference
  if largest_loss is None:
    # The negated comparison also refuses NaN.
    if not difference <= TOLERANCE or agreement.top1 != agreement.bundle_top1:
      raise UserError(
        f"{name} is not kept: its logits differ by {difference:.2g} from the bundle's "
        f'({TOLERANCE:.0e} is allowed) and its top-1 is {100 * agreement.top1:.2f}% against '
        f'{100 * agreement.bundle_top1:.2f}%; export it in another format'
      )
  elif not math.isfinite(difference) or agreement.loss > largest_loss:
    raise UserError(
      f'{name} is not kept: it costs {agreement.loss:.2f} points of top-1 '
      f'({100 * agreement.top1:.2f}% against {100 * agreement.bundle_top1:.2f}%) and '
      f'`largest_loss={largest_loss:g}` allows less; allow more, or export it in another format'
    )
