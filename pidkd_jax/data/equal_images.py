"""Images in memory that are equal, pixel by pixel."""

import hashlib
from collections.abc import Iterable

import numpy as np


def rows(images: Iterable[np.ndarray], others: Iterable[np.ndarray]) -> list[int]:
  """Return the rows of the images that are among others.

  Args:
    images: uint8 [N, H, W, C].
    others: uint8 [M, H, W, C].

  Example:
    >>> rows(np.uint8([[[[1]]], [[[2]]]]), np.uint8([[[[2]]], [[[3]]]]))
    [1]
  """
  known = {*map(_digest, others)}
  return [row for row, image in enumerate(images) if _digest(image) in known]


def _digest(image: np.ndarray) -> bytes:
  return hashlib.blake2b(image.tobytes(), digest_size=16).digest()
