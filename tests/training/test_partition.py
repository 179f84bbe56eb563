"""Division of members into cohorts that fit into memory, and over groups of devices."""

import itertools
import types

import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.training import partition
from pidkd_jax.training.free_memory import MIB
from pidkd_jax.training.memory import MemberMemory, MemoryEstimate

MEMBERS = [types.SimpleNamespace(name=name) for name in 'abcd']


def estimate(shared, *members):
  """Return the estimate of members a, b, ..., given as (state, activation)."""
  return MemoryEstimate(
    shared, {name: MemberMemory(*one) for name, one in zip('abcd', members, strict=False)}
  )


def names(cohorts):
  return [''.join(member.name for member in cohort) for cohort in cohorts]


@pytest.mark.parametrize(
  'budget, expected',
  [
    # Each alone: 17, 18, 23, 12. Together: ab 20, abc 28, cd 24, abcd 29.
    (23, ['ab', 'c', 'd']),
    (24, ['ab', 'cd']),
    (27, ['ab', 'cd']),
    (28, ['abc', 'd']),
    (29, ['abcd']),
  ],
)
def test_cohorts_by_hand(budget, expected):
  estimated = estimate(10, (2, 5), (3, 5), (4, 9), (1, 1))
  assert names(partition.into_cohorts(MEMBERS, estimated, budget)) == expected


def test_cohorts_are_the_fewest_that_keep_the_order():
  random = np.random.default_rng(0)
  for _ in range(50):
    estimated = estimate(0, *(map(int, random.integers(1, 20, 2)) for _ in MEMBERS))
    budget = int(random.integers(38, 80))
    cohorts = names(partition.into_cohorts(MEMBERS, estimated, budget))
    assert ''.join(cohorts) == 'abcd'
    assert all(estimated.subset(cohort).total <= budget for cohort in cohorts)
    # No cohort has room for the first member of the next one.
    for cohort, following in itertools.pairwise(cohorts):
      assert estimated.subset(cohort + following[0]).total > budget


@pytest.mark.parametrize(
  'loads, budget, groups, expected',
  [
    ((5, 5, 9, 1), 99, 1, ['abcd']),
    ((5, 5, 9, 1), 99, 2, ['ab', 'cd']),
    ((9, 1, 1, 1), 99, 2, ['a', 'bcd']),
    ((1, 1, 1, 9), 99, 2, ['abc', 'd']),
    # More groups than members.
    ((5, 5, 9, 1), 99, 5, ['a', 'b', 'c', 'd']),
    # Two cohorts would fit into memory, and leave a group idle.
    ((5, 5, 5, 5), 19, 3, ['a', 'b', 'cd']),
    # a | bcd would be as good, but bcd does not fit.
    ((2, 1, 1, 1), 12, 2, ['ab', 'cd']),
    # No two fit together, so each group has two cohorts.
    ((1, 1, 1, 1), 8, 2, ['a', 'b', 'c', 'd']),
  ],
)
def test_cohorts_of_groups_by_hand(loads, budget, groups, expected):
  estimated = estimate(0, *((4, load) for load in loads))
  assert names(partition.over_groups(MEMBERS, estimated, budget, groups)) == expected


def test_no_division_over_groups_has_a_smaller_largest_load():
  random = np.random.default_rng(0)
  for _ in range(20):
    loads = list(map(int, random.integers(1, 20, 4)))
    estimated = estimate(0, *((0, load) for load in loads))
    cohorts = names(partition.over_groups(MEMBERS, estimated, 99, 2))
    assert ''.join(cohorts) == 'abcd'
    largest = max(sum(estimated.members[name].activation for name in one) for one in cohorts)
    assert largest == min(max(sum(loads[:cut]), sum(loads[cut:])) for cut in (1, 2, 3))


def test_without_members_there_is_no_cohort():
  assert partition.into_cohorts([], estimate(10), 1) == []


def test_a_member_that_does_not_fit_alone_is_named():
  estimated = estimate(MIB, (1, 1), (2 * MIB, 3 * MIB))
  with pytest.raises(UserError, match='training of b takes about 6 MiB, and 4 MiB .* batch_size'):
    partition.into_cohorts(MEMBERS[:2], estimated, 4 * MIB)
