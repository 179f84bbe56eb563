"""The figures that stand in a bundle's card and in tables."""

from collections.abc import Mapping

from pidkd_jax.evaluation import classification, inference
from pidkd_jax.types import Arrays, Network


def evaluate(
  networks: Mapping[str, Network],
  arrays: Arrays,
  mean: tuple[float, ...],
  std: tuple[float, ...],
  teacher: Network | None,
) -> dict[str, dict[str, float]]:
  """Every measure of some networks over a split.

  Args:
    networks: to be judged, by name.
    arrays: the split.
    mean: per-channel pixel mean that networks and teacher were trained with.
    std: per-channel standard deviation, likewise.
    teacher: seen once for all; without it agreement and alignment are left out.

  Returns:
    {name: {measure: value}}; shares lie in [0, 1].
  """
  split = inference.split(arrays, mean, std)
  wanted = None if teacher is None else inference.logits(teacher, split)
  found = {
    name: classification.measures(inference.logits(network, split), arrays.labels, wanted)
    for name, network in networks.items()
  }
  if teacher is not None:
    aligned = {name: network for name, network in networks.items() if network.model.aligned}
    for name, error in inference.alignment_errors(aligned, teacher, split).items():
      found[name]['alignment_error'] = error
  return found
