"""Pixels as the card of an export says that its file takes them."""

import json
import pathlib
from collections.abc import Callable

import numpy as np


def preparation(file: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
  """A function from uint8 images [N, H, W, C] to what an exported file is called with.

  Args:
    file: with card.json beside it.
  """
  card = json.loads(file.with_name('card.json').read_text())
  if card['export']['input']['dtype'] == 'uint8':
    return lambda images: images
  mean, std = (np.asarray(card['dataset'][name], np.float32) for name in ('mean', 'std'))
  return lambda images: (images / np.float32(255) - mean) / std
