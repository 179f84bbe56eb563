"""What rivals are compared on: small random arrays in float64, and two numbers of a gradient."""

import numpy as np

BATCH, CLASSES = 6, 7
LABEL = np.arange(BATCH) % CLASSES


def draw(seed: int, *shape: int) -> np.ndarray:
  """Draw standard normal numbers."""
  return np.random.default_rng(seed).standard_normal(shape)


STUDENT_LOGITS = 3 * draw(1, BATCH, CLASSES)
TEACHER_LOGITS = 5 * draw(2, BATCH, CLASSES)
# The logits of MLKD's strong view.
STRONG_STUDENT_LOGITS = 3 * draw(18, BATCH, CLASSES)
STRONG_TEACHER_LOGITS = 5 * draw(19, BATCH, CLASSES)
# Maps behind a ReLU, as the last one of a network is.
STUDENT_MAP = np.maximum(draw(3, BATCH, 4, 4, 5), 0)
TEACHER_MAP = np.maximum(draw(4, BATCH, 4, 4, 8), 0)
STUDENT_POOLED, TEACHER_POOLED = (x.mean((1, 2)) for x in (STUDENT_MAP, TEACHER_MAP))
# From the student's channels to the teacher's.
PROJECTOR = 0.4 * draw(5, 5, 8)
# To more channels, to fewer, and to as many.
VKD = {
  'vkd': (STUDENT_POOLED, TEACHER_POOLED),
  'vkd_fewer': (TEACHER_POOLED, STUDENT_POOLED),
  'vkd_square': (STUDENT_POOLED, TEACHER_POOLED[:, :5]),
}
# The teacher's classifier: kernel and bias.
CLASSIFIER = draw(8, 8, CLASSES), draw(9, CLASSES)
# The student's.
OWN_CLASSIFIER = draw(20, 5, CLASSES), draw(21, CLASSES)
# CTKD's parameter, and the epoch of 240.
LEVEL, EPOCH = 0.3, 4
# NORM's parameters: the first map, to 2 x 8 channels, with its norm; the second; the classifier.
NORM = {
  'expand': (draw(10, 5, 16), 1 + 0.2 * draw(11, 16), 0.1 * draw(12, 16)),
  'reduce': (draw(13, 16, 5), 1 + 0.2 * draw(14, 5), 0.1 * draw(15, 5)),
  'head': (draw(16, 5, CLASSES), draw(17, CLASSES)),
}
# Weight, resolution, normalisation, as for resnet32x4 -> resnet8x4 and -> ShuffleV2.
CATKD = {'catkd': (15.0, 2, False), 'catkd_normalized': (600.0, 4, True)}
# Whether logits are standardised, the first temperature, and the weight.
MLKD = {'mlkd': (False, 4.0, 0.9), 'mlkd_standardized': (True, 2.0, 9.0)}


def orthogonal(channels: int, features: int) -> tuple[np.ndarray, np.ndarray]:
  """Return a mirror [n, n] and a strictly lower triangle [n, k], of n >= k channels."""
  n, k = max(channels, features), min(channels, features)
  normal = draw(6, n, 1)
  return np.eye(n) - 2 * normal @ normal.T / np.sum(normal**2), np.tril(0.3 * draw(7, n, k), -1)


def summary(gradient: np.ndarray) -> list[float]:
  """Return a gradient's length, and its product with a fixed direction."""
  flat = np.ravel(gradient)
  return [float(np.linalg.norm(flat)), float(flat @ np.cos(np.arange(flat.size)))]
