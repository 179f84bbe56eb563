"""Divide members into cohorts that fit into memory."""

import functools
import itertools
import math
from collections.abc import Sequence

from pidkd_jax.core.errors import UserError
from pidkd_jax.training.free_memory import MIB
from pidkd_jax.training.member import Member
from pidkd_jax.training.memory import MemoryEstimate

Cohorts = list[tuple[Member, ...]]


def into_cohorts(members: Sequence[Member], estimate: MemoryEstimate, budget: int) -> Cohorts:
  """Divide members into the fewest cohorts that fit, and keep the members' order.

  Args:
    members: in the order in which they shall train.
    estimate: the memory that they take together.
    budget: bytes that a cohort may take.

  Raises:
    UserError: a member does not fit alone.
  """
  cohorts: Cohorts = []
  for member in members:
    alone = estimate.subset([member.name]).total
    if alone > budget:
      raise UserError(
        f'the training of {member.name} takes about {alone / MIB:,.0f} MiB, and '
        f'{budget / MIB:,.0f} MiB are free for it; take a smaller batch_size, fewer projectors or '
        'a larger factor'
      )
    if cohorts and _fits((*cohorts[-1], member), estimate, budget):
      cohorts[-1] = (*cohorts[-1], member)
    else:
      cohorts.append((member,))
  return cohorts


def over_groups(
  members: Sequence[Member], estimate: MemoryEstimate, budget: int, groups: int
) -> Cohorts:
  """Divide members into cohorts that several groups of devices train at once.

  The members' order is kept. Each group trains equally many cohorts, the fewest that fit; only
  where there are fewer members than that do some groups stay idle. The load of the largest cohort
  is as small as possible. A cohort's load is the sum of its members' activations: of all that
  follows from shapes, it tells best how long a step takes.

  Args:
    members: in the order in which they shall train.
    estimate: the memory that they take together.
    budget: bytes that a cohort may take.
    groups: number of groups of devices.

  Raises:
    UserError: a member does not fit alone.
  """
  fewest = into_cohorts(members, estimate, budget)
  if groups == 1:
    return fewest
  count = min(-(-len(fewest) // groups) * groups, len(members))

  @functools.cache
  def best(end: int, count: int) -> tuple[float, tuple[int, ...]]:
    """Return (largest load, where each cohort begins) of the first `end` members in `count`."""
    if count == 0:
      return (math.inf if end else 0), ()
    candidates: list[tuple[float, tuple[int, ...]]] = [(math.inf, ())]
    for start in range(end):
      cohort = members[start:end]
      if _fits(cohort, estimate, budget):
        largest, starts = best(start, count - 1)
        load = sum(estimate.members[member.name].activation for member in cohort)
        candidates.append((max(largest, load), (*starts, start)))
    return min(candidates)

  _, starts = best(len(members), count)
  return [tuple(members[i:j]) for i, j in itertools.pairwise([*starts, len(members)])]


def _fits(cohort: Sequence[Member], estimate: MemoryEstimate, budget: int) -> bool:
  return estimate.subset([member.name for member in cohort]).total <= budget
