"""The figures that stand in a bundle's card and in tables."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Network
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import classification, inference


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
  """What a split says of a network.

  Attributes:
    measures: {measure: value}; shares lie in [0, 1].
    logits: float32 [N, K] of every image.
  """

  measures: dict[str, float]
  logits: np.ndarray


def evaluate(
  networks: Mapping[str, Network],
  examples: Split,
  normalisation: Normalisation,
  teacher: Network | None,
) -> dict[str, Evaluation]:
  """Every measure of some networks over a split, and the logits that they come from.

  Args:
    networks: to be judged, by name.
    examples: the split.
    normalisation: the one that networks and teacher were trained with.
    teacher: seen once for all; without it agreement and alignment are left out.

  Returns:
    By the networks' names.
  """
  split = inference.eval_split(examples, normalisation)
  wanted = None if teacher is None else inference.logits(teacher, split)
  found = {}
  for name, network in networks.items():
    logits = wanted if network is teacher else inference.logits(network, split)
    measures = classification.metrics(logits, examples.labels, wanted)
    found[name] = Evaluation(measures, logits)
  if teacher is not None:
    aligned = {name: network for name, network in networks.items() if network.model.aligned}
    for name, error in inference.alignment_errors(aligned, teacher, split).items():
      found[name].measures['alignment_error'] = error
  return found


def evaluate_metrics(
  networks: Mapping[str, Network],
  examples: Split,
  normalisation: Normalisation,
  teacher: Network | None,
) -> dict[str, dict[str, float]]:
  """The measures of `evaluate` alone, {name: {measure: value}}."""
  judged = evaluate(networks, examples, normalisation, teacher)
  return {name: judgement.measures for name, judgement in judged.items()}
