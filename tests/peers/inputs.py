"""What rivals are compared on: small random arrays in float64, and two numbers of a gradient."""

import numpy as np

BATCH, CLASSES = 6, 7
LABEL = np.arange(BATCH) % CLASSES


def draw(seed: int, *shape: int) -> np.ndarray:
  """Draw standard normal numbers."""
  return np.random.default_rng(seed).standard_normal(shape)


STUDENT_LOGITS = 3 * draw(1, BATCH, CLASSES)
TEACHER_LOGITS = 5 * draw(2, BATCH, CLASSES)


def summary(gradient: np.ndarray) -> list[float]:
  """Return a gradient's length, and its product with a fixed direction."""
  flat = np.ravel(gradient)
  return [float(np.linalg.norm(flat)), float(flat @ np.cos(np.arange(flat.size)))]
