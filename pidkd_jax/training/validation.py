"""The split that a cohort is evaluated on while it trains."""

import dataclasses
import functools

import numpy as np

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import classification, inference
from pidkd_jax.models.network import Network


@dataclasses.dataclass(frozen=True, eq=False)
class Validation:
  """A split and the teacher with which agreement is measured.

  Attributes:
    name: 'test', or 'holdout', which selects the epoch that a member keeps.
    labels: int32 [N].
    split: the images.
    larger: the images as the teacher sees them.
    teacher: None where no agreement is measured.
  """

  name: str
  labels: np.ndarray
  split: inference.EvalBatches
  larger: inference.EvalBatches
  teacher: Network | None

  @classmethod
  def of(
    cls, name: str, split: Split, normalisation: Normalisation, teacher: Network | None
  ) -> 'Validation':
    """Prepare a split of the data for networks with this normalisation."""
    batches = inference.eval_batches(split, normalisation)
    larger = inference.eval_batches(split.larger, normalisation) if split.size else batches
    return cls(name, split.labels, batches, larger, teacher)

  @property
  def selects(self) -> bool:
    """Whether the split selects the epoch that a member keeps."""
    return self.name == 'holdout'

  @functools.cached_property
  def teacher_logits(self) -> np.ndarray | None:
    """The teacher's logits, float32 [N, K], computed at the first evaluation."""
    return None if self.teacher is None else inference.logits(self.teacher, self.larger)

  @property
  def teacher_top1(self) -> dict[str, float]:
    """The teacher's accuracy under its name in a row of metrics; {} without a teacher."""
    logits = self.teacher_logits
    if logits is None:
      return {}
    return {f'{self.name}_top1': float(np.mean(logits.argmax(axis=1) == self.labels))}

  def logits(self, network: Network) -> np.ndarray:
    """Return a network's logits, float32 [N, K]."""
    return inference.logits(network, self.split)

  def metrics(self, logits: np.ndarray) -> dict[str, float]:
    """Return {metric: value} of logits [N, K]; shares lie in [0, 1]."""
    return classification.metrics(logits, self.labels, self.teacher_logits)
