"""Save a network's outputs on the test images in a run's folder, for the run's report."""

import pathlib

import numpy as np
from scipy.special import softmax

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import inference
from pidkd_jax.models.network import Network
from pidkd_jax.parallel import processes

# A figure can show that many. Those of all images would be larger than the networks.
_MAX_POOLED = 500


def save(
  path: pathlib.Path,
  logits: np.ndarray,
  network: Network,
  split: Split,
  normalisation: Normalisation,
) -> None:
  """Write a network's outputs to an .npz file.

  The file holds `label` and `predicted` (uint16 [N]), `confidence` (float32 [N], the prediction's
  probability) and `pooled` (float16 [M, C], the classifier's input for the first M images).

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
  pooled = inference.pooled(network, sample).astype(np.float16)
  if not processes.is_primary():
    return
  path.parent.mkdir(exist_ok=True)
  np.savez(
    path,
    label=split.labels.astype(np.uint16),
    predicted=logits.argmax(axis=1).astype(np.uint16),
    confidence=softmax(logits.astype(np.float64), axis=1).max(axis=1).astype(np.float32),
    pooled=pooled,
  )
