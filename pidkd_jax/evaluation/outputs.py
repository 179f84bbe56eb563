"""Save a network's outputs on the test images in a run's folder, for the run's report."""

import pathlib

import jax
import numpy as np
from scipy.special import softmax

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import inference
from pidkd_jax.models.network import Network
from pidkd_jax.parallel import devices, processes

# A figure can show that many. Those of all images would be larger than the networks.
_MAX_POOLED = 500
# A report shows the predictions on that many images.
_EXAMPLES = 5


def examples(labels: np.ndarray) -> np.ndarray:
  """Return the positions of the images that a report shows: the first five of different classes.

  Args:
    labels: int [N], at least one, in the split's order.

  Returns:
    int [E], ascending; E is 5, or the number of classes where there are fewer.

  Example:
    >>> examples(np.array([4, 4, 1, 4, 0, 1])).tolist()
    [0, 2, 4]
  """
  _, first = np.unique(labels, return_index=True)
  return np.sort(first)[:_EXAMPLES]


def save_examples(path: pathlib.Path, split: Split) -> None:
  """Write the images that a report shows to an .npz file.

  The file holds `position` and `label` (int [E]) and `image` (uint8 [E, H, W, C]).

  Args:
    path: of the file; its folder is made.
    split: the images with labels.
  """
  position = examples(split.labels)
  block = next(iter(split.take(position).blocks(inference.BATCH_SIZE)))
  image = np.asarray(jax.jit(devices.replicate)(block))[: len(position)]
  if processes.is_primary():
    path.parent.mkdir(exist_ok=True)
    np.savez(path, position=position, label=split.labels[position], image=image)


def save(
  path: pathlib.Path,
  logits: np.ndarray,
  network: Network,
  split: Split,
  normalisation: Normalisation,
) -> None:
  """Write a network's outputs to an .npz file.

  The file holds `label` and `predicted` (uint16 [N]), `confidence` (float32 [N], the prediction's
  probability), `pooled` (float16 [M, C], the classifier's input for the first M images, cut to
  what float16 holds) and `probabilities` (float32 [E, K], those of `examples`).

  Args:
    path: of the file; its folder is made.
    logits: float32 [N, K], the network's on the split.
    network: runs on the first M images.
    split: N images with labels.
    normalisation: the one that the network was trained with.
  """
  sample = inference.eval_batches(
    split.take(np.arange(min(_MAX_POOLED, len(split)))), normalisation
  )
  # A student far from convergence may have finite features beyond float16.
  largest = float(np.finfo(np.float16).max)
  pooled = np.clip(inference.pooled(network, sample), -largest, largest).astype(np.float16)
  if not processes.is_primary():
    return
  probabilities = softmax(logits.astype(np.float64), axis=1).astype(np.float32)
  path.parent.mkdir(exist_ok=True)
  np.savez(
    path,
    label=split.labels.astype(np.uint16),
    predicted=logits.argmax(axis=1).astype(np.uint16),
    confidence=probabilities.max(axis=1),
    pooled=pooled,
    probabilities=probabilities[examples(split.labels)],
  )
