"""Preprocessing of images for an exported file, as its card describes it."""

import json
import pathlib
from collections.abc import Callable

import numpy as np


def preprocessor(file: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
  """Return a function from uint8 images [N, H, W, C] to the input of an exported file.

  It uses NumPy alone, so that a worker's memory stays that of its runtime.

  Args:
    file: the exported file, with card.json beside it.
  """
  card = json.loads(file.with_name('card.json').read_text())
  given = card['export']['input']
  # Exports from before there was a choice say nothing.
  axes = (0, 3, 1, 2) if given.get('layout') == 'nchw' else (0, 1, 2, 3)
  if given['dtype'] == 'uint8':
    return lambda images: np.ascontiguousarray(images.transpose(axes))
  mean, std = (np.asarray(card['dataset'][name], np.float32) for name in ('mean', 'std'))
  return lambda images: np.ascontiguousarray(
    ((images / np.float32(255) - mean) / std).transpose(axes)
  )
