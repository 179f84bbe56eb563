"""Widen a student until it deploys as many parameters as another row."""

import bisect
import dataclasses

from pidkd_jax.data.dataset import Dataset
from pidkd_jax.experiment import assembly
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.models.network import Network

# Factors of the channels in hundredths: 0.01 to 16.
_HUNDREDTHS = range(1, 1601)


def widened(
  experiment: Experiment, dataset: Dataset, teacher: Network, label: str, parameters: int
) -> str:
  """Widen a row's student until its deployed parameters are as near as possible to a number.

  Args:
    experiment: the experiment with the row.
    dataset: the data that it trains on.
    teacher: arrays or shapes.
    label: of the row.
    parameters: number of parameters that the student should deploy.

  Returns:
    The widened student's name.

  Raises:
    UserError: the student's widths are not free.
  """
  member = next(member for member in experiment.members if member.label == label)

  def name(hundredths: int) -> str:
    return f'{member.student}*{hundredths / 100:g}'

  def deployed(hundredths: int) -> int:
    alone = dataclasses.replace(member, student=name(hundredths))
    single = dataclasses.replace(experiment, members=(alone,))
    return assembly.costs(single, dataset, teacher)[label].parameters

  above = bisect.bisect_left(_HUNDREDTHS, parameters, hi=len(_HUNDREDTHS) - 1, key=deployed)
  candidates = _HUNDREDTHS[max(0, above - 1) : above + 1]
  return name(min(candidates, key=lambda hundredths: abs(deployed(hundredths) - parameters)))
