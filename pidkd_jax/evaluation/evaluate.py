"""The figures that stand in a bundle's card and in tables."""

from pidkd_jax.evaluation import classification, inference
from pidkd_jax.types import Arrays, Network


def evaluate(
    network: Network,
    arrays: Arrays,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    teacher: Network | None,
) -> dict[str, float]:
  """Every measure of a network over a split.

  Args:
    network: to be judged.
    arrays: the split.
    mean: per-channel pixel mean that network and teacher were trained with.
    std: per-channel standard deviation, likewise.
    teacher: without it agreement and alignment are left out.

  Returns:
    {measure: value}; shares lie in [0, 1].
  """
  split = inference.split(arrays, mean, std)
  logits = None if teacher is None else inference.logits(teacher, split)
  found = classification.measures(inference.logits(network, split), arrays.labels, logits)
  if teacher is not None and network.model.aligned:
    found['alignment_error'] = inference.alignment_error(network, teacher, split)
  return found
