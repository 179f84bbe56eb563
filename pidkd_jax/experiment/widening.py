"""A student that is widened until it deploys as much as another row."""

import bisect
import dataclasses

from pidkd_jax.core.types import Network
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.experiment import run

# In steps of a hundredth, up to sixteen times the channels.
_HUNDREDTHS = range(1, 1601)


def widened(
  plan: run.Experiment, dataset: Dataset, teacher: Network, label: str, parameters: int
) -> str:
  """The name of the student of one row, widened until it deploys nearest to so many parameters.

  Args:
    plan: that has the row.
    dataset: to train on.
    teacher: arrays or shapes.
    label: of the row.
    parameters: wanted.

  Raises:
    UserError: the student's widths are not free.
  """
  member = next(member for member in plan.members if member.label == label)

  def name(hundredths: int) -> str:
    return f'{member.student}*{hundredths / 100:g}'

  def deployed(hundredths: int) -> int:
    alone = dataclasses.replace(member, student=name(hundredths))
    costs = run.costs(dataclasses.replace(plan, members=(alone,)), dataset, teacher)
    return costs[label].parameters

  above = bisect.bisect_left(_HUNDREDTHS, parameters, hi=len(_HUNDREDTHS) - 1, key=deployed)
  candidates = _HUNDREDTHS[max(0, above - 1) : above + 1]
  return name(min(candidates, key=lambda hundredths: abs(deployed(hundredths) - parameters)))
