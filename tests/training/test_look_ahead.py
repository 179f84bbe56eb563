"""How many batches the teacher sees in one pass."""

import logging

import jax
import pytest

from pidkd_jax.training import free_memory, look_ahead, memory
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams


@pytest.fixture(scope='module')
def cohort(assemble):
  return assemble(Member('pidkd', 'tests.plain:Plain', 'pidkd', {}, OptimizerHparams(), 0))


@pytest.mark.parametrize(
  'asked, steps, passed',
  [(0, 50, 1), (5, 50, 5), (5, 1, 1), (80, 50, 50)],
)
def test_on_cpu_a_pass_has_one_batch_unless_more_are_asked_for(
  cohort, batches, asked, steps, passed
):
  assert look_ahead.batches_per_pass(asked, steps, cohort, batches[0]) == passed


@pytest.mark.parametrize('fitting, passed', [(9.5, 5), (3.5, 3), (0.5, 1)])
def test_elsewhere_it_has_what_fits_up_to_five(cohort, batches, monkeypatch, fitting, passed):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  one = look_ahead.pass_bytes(cohort, batches[0])
  monkeypatch.setattr(free_memory, 'capacity', lambda: int(16 * fitting * one))
  assert look_ahead.batches_per_pass(0, 50, cohort, batches[0]) == passed
  assert look_ahead.batches_per_pass(0, 2, cohort, batches[0]) == min(passed, 2)


def test_without_a_teacher_there_is_no_pass(assemble, batches):
  alone = assemble(Member('a', 'tests.plain:Plain', 'scratch', {}, OptimizerHparams(), 0))
  assert look_ahead.batches_per_pass(5, 50, alone, batches[0]) == 1


def test_each_further_batch_adds_itself_and_the_outputs_to_the_memory(cohort, batches):
  one, five = (memory.estimate(cohort, batches[0], look_ahead=k).shared for k in (1, 5))
  view = jax.eval_shape(Cohort.observe, cohort, batches[0])
  leaves = jax.tree.leaves((batches[0], view.features, view.logits))
  assert five - one == 4 * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


@pytest.mark.parametrize(
  'found, steps, traceable, said',
  [
    (5, 50, True, []),
    (4, 4, True, ['look_ahead is 5; the teacher sees 4 at once, as a call takes 4']),
    (
      1,
      1,
      False,
      ['look_ahead is 5; the teacher sees 1 at once, as streamed batches come one by one'],
    ),
  ],
)
def test_a_smaller_number_than_asked_for_is_said(cohort, caplog, found, steps, traceable, said):
  with caplog.at_level(logging.WARNING, 'pidkd_jax'):
    look_ahead.report(5, found, cohort, steps, traceable)
  assert caplog.messages == said
