"""Evaluate networks on a split: the metrics of cards and tables."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import classification, inference
from pidkd_jax.models.network import Network


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
  """The evaluation of one network on a split.

  Attributes:
    metrics: {metric: value}; shares lie in [0, 1].
    logits: float32 [N, K], of every image.
  """

  metrics: dict[str, float]
  logits: np.ndarray


def evaluate(
  networks: Mapping[str, Network],
  split: Split,
  normalisation: Normalisation,
  teacher: Network | None,
  *,
  logits: Mapping[str, np.ndarray] | None = None,
  teacher_logits: np.ndarray | None = None,
) -> dict[str, Evaluation]:
  """Evaluate networks on a split.

  Args:
    networks: {name: network}.
    split: N images with labels.
    normalisation: the one that networks and teacher were trained with.
    teacher: run once for all networks. None leaves out agreement and alignment.
    logits: {name: float32 [N, K]}, of networks whose logits are at hand already.
    teacher_logits: float32 [N, K], where they are at hand already.

  Returns:
    {name: evaluation}.
  """
  batches, larger = inference.distillation_batches(split, normalisation)
  logits = dict(logits or {})
  if teacher is not None and teacher_logits is None:
    teacher_logits = inference.logits(teacher, larger)
  evaluations = {}
  for name, network in networks.items():
    if name not in logits:
      at_hand = teacher_logits if network is teacher else None
      logits[name] = inference.logits(network, batches) if at_hand is None else at_hand
    metrics = classification.metrics(logits[name], split.labels, teacher_logits)
    evaluations[name] = Evaluation(metrics, logits[name])
  if teacher is not None:
    aligned = {name: network for name, network in networks.items() if network.model.aligned}
    for name, error in inference.alignment_errors(aligned, teacher, batches, larger).items():
      evaluations[name].metrics['alignment_error'] = error
  return evaluations


def evaluate_metrics(
  networks: Mapping[str, Network],
  split: Split,
  normalisation: Normalisation,
  teacher: Network | None,
) -> dict[str, dict[str, float]]:
  """Return the metrics of `evaluate` alone, {name: {metric: value}}."""
  evaluations = evaluate(networks, split, normalisation, teacher)
  return {name: evaluation.metrics for name, evaluation in evaluations.items()}
