"""The split that a cohort is evaluated on while it trains."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable

import jax
import numpy as np

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import classification, inference
from pidkd_jax.models.network import Network

logger = logging.getLogger(__name__)

# The name of the split that selects a member's epoch.
_SELECTING = 'holdout'


@dataclasses.dataclass(frozen=True, eq=False)
class Validation:
  """A split and the teacher with which agreement is measured.

  Attributes:
    name: 'test', or 'holdout', which selects the epoch that a member keeps.
    labels: int32 [N].
    split: the images.
    larger: the images as the teacher sees them.
    teacher: None where no agreement is measured.
    interim: the images in the precision of evaluations before the last epoch. What selects an
      epoch, and what is reported at the end, is float32.
  """

  name: str
  labels: np.ndarray
  split: inference.EvalBatches
  larger: inference.EvalBatches
  teacher: Network | None
  interim: inference.EvalBatches

  @classmethod
  def of(
    cls,
    name: str,
    split: Split,
    normalisation: Normalisation,
    teacher: Network | None,
    interim: str = 'float32',
  ) -> 'Validation':
    """Prepare a split of the data for networks with this normalisation.

    Args:
      name: as the attribute.
      split: of the data.
      normalisation: of the networks.
      teacher: as the attribute.
      interim: the name of the precision of evaluations before the last epoch; without effect on a
        hold-out.
    """
    batches, larger = inference.distillation_batches(split, normalisation)
    sooner = batches if name == _SELECTING else batches.in_precision(interim)
    return cls(name, split.labels, batches, larger, teacher, sooner)

  @property
  def selects(self) -> bool:
    """Whether the split selects the epoch that a member keeps."""
    return self.name == _SELECTING

  def programs(self, networks: Iterable[Network]) -> list[Callable[[], jax.stages.Lowered]]:
    """Return functions that lower the programs of the next evaluation, each once.

    Args:
      networks: that are evaluated, as shapes.
    """
    if self.teacher is None or 'teacher_logits' in vars(self):
      return self.interim.programs(networks)
    if self.larger is self.interim:
      return self.interim.programs([self.teacher, *networks])
    return self.larger.programs([self.teacher]) + self.interim.programs(networks)

  @functools.cached_property
  def teacher_logits(self) -> np.ndarray | None:
    """The teacher's logits, float32 [N, K], computed at the first evaluation."""
    if self.teacher is None:
      return None
    logits = inference.logits(self.teacher, self.larger)
    # One that takes other pixels, or has its classes in another order, shows here.
    logger.info('teacher: %s top-1 %.2f%%', self.name, 100 * self._top1(logits))
    return logits

  @property
  def teacher_top1(self) -> dict[str, float]:
    """The teacher's accuracy under its name in a row of metrics; {} without a teacher."""
    logits = self.teacher_logits
    if logits is None:
      return {}
    return {f'{self.name}_top1': self._top1(logits)}

  def logits(self, network: Network, final: bool) -> np.ndarray:
    """Return a network's logits, float32 [N, K].

    Args:
      network: to evaluate.
      final: whether the results rely on them, so that `interim` does not serve.
    """
    return inference.logits(network, self.split if final else self.interim)

  def metrics(self, logits: np.ndarray) -> dict[str, float]:
    """Return {metric: value} of logits [N, K]; shares lie in [0, 1]."""
    return classification.metrics(logits, self.labels, self.teacher_logits)

  def _top1(self, logits: np.ndarray) -> float:
    return float(np.mean(logits.argmax(axis=1) == self.labels))
