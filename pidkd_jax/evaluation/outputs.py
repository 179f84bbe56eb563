"""What a network said of each test image, kept in the run's folder for its report."""

import pathlib

import numpy as np
from scipy.special import softmax

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Network
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import inference
from pidkd_jax.parallel import processes

# As many as a picture of them can show; of all images they would be larger than the networks.
_POOLED = 500


def save(
  path: pathlib.Path,
  logits: np.ndarray,
  network: Network,
  examples: Split,
  normalisation: Normalisation,
) -> None:
  """Writes an .npz of

    label: uint16 [N], predicted: uint16 [N], confidence: float32 [N], the prediction's probability,
    pooled: float16 [M, C], what the classifier reads, of the first M images.

  Args:
    path: of the file; its folder is made.
    logits: float32 [N, K] of the split's images.
    network: that gave them.
    examples: the split.
    normalisation: the one that the network was trained with.
  """
  sample = inference.eval_split(
    examples.take(np.arange(min(_POOLED, len(examples)))), normalisation
  )
  pooled = inference.pooled(network, sample).astype(np.float16)
  if not processes.is_primary():
    return
  path.parent.mkdir(exist_ok=True)
  np.savez(
    path,
    label=examples.labels.astype(np.uint16),
    predicted=logits.argmax(axis=1).astype(np.uint16),
    confidence=softmax(logits.astype(np.float64), axis=1).max(axis=1).astype(np.float32),
    pooled=pooled,
  )
