"""How an epoch is divided into calls, and into passes of the teacher."""

import logging

import jax
import pytest

from pidkd_jax.parallel import devices
from pidkd_jax.training import calls, free_memory, memory
from pidkd_jax.training.calls import Calls
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams


@pytest.fixture(scope='module')
def cohort(assemble):
  return assemble(Member('pidkd', 'tests.plain:Plain', 'pidkd', {}, OptimizerHparams(), 0))


@pytest.fixture
def gpu(cohort, batches, monkeypatch):
  """A function that makes room for so many batches in one pass on a GPU."""

  def make(fitting=9.5):
    one = calls.pass_bytes(cohort, batches[0])
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    monkeypatch.setattr(free_memory, 'capacity', lambda: int(16 * fitting * one))

  return make


@pytest.mark.parametrize(
  'asked_steps, asked_ahead, epoch, steps, ahead',
  [
    (0, 0, 781, 1, 1),
    (0, 5, 781, 1, 1),
    (1, 5, 781, 1, 1),
    (50, 0, 781, 49, 1),
    (50, 5, 781, 50, 5),
    (3, 2, 4, 2, 2),
    (3, 0, 4, 2, 1),
    (100, 80, 60, 60, 60),
    (100, 7, 3, 3, 3),
  ],
)
def test_on_cpu_a_call_has_one_step_unless_more_are_asked_for(
  cohort, batches, asked_steps, asked_ahead, epoch, steps, ahead
):
  found = calls.plan(asked_steps, asked_ahead, epoch, cohort, batches[0])
  assert found == Calls(steps, ahead)


@pytest.mark.parametrize(
  'epoch, steps, ahead, surplus',
  [
    (781, 56, 4, 3),  # CIFAR-100, batch 64.
    (390, 78, 6, 0),  # Batch 128.
    (1562, 92, 4, 2),  # Tiny-ImageNet.
    (93, 95, 5, 2),
    (3, 3, 3, 0),
    (1, 1, 1, 0),
  ],
)
def test_elsewhere_the_fewest_steps_are_to_spare(
  cohort, batches, gpu, epoch, steps, ahead, surplus
):
  gpu()
  found = calls.plan(0, 0, epoch, cohort, batches[0])
  assert (found, found.surplus(epoch)) == (Calls(steps, ahead), surplus)


@pytest.mark.parametrize('epoch', [*range(1, 130, 5), 390, 500, 781, 1562, 20_018])
def test_all_calls_are_equal_whole_passes_and_cover_the_epoch(cohort, batches, gpu, epoch):
  gpu()
  for asked_steps, asked_ahead in (0, 0), (50, 0), (0, 8), (7, 3):
    found = calls.plan(asked_steps, asked_ahead, epoch, cohort, batches[0])
    assert found.steps % found.look_ahead == 0
    count = -(-epoch // found.steps)
    assert count * found.steps - epoch == found.surplus(epoch) < found.steps
    if not (asked_steps or asked_ahead) and epoch >= 40:
      assert found.surplus(epoch) / epoch < 0.07


@pytest.mark.parametrize('fitting, ahead', [(9.5, 5), (5.5, 5), (4.5, 4), (3.5, 3), (0.5, 1)])
def test_elsewhere_a_pass_has_what_fits(cohort, batches, gpu, fitting, ahead):
  gpu(fitting)
  assert calls.plan(0, 0, 60, cohort, batches[0]) == Calls(60, ahead)


def test_each_device_holds_its_share_of_a_pass(cohort, batches, gpu, monkeypatch):
  gpu(0.5)
  monkeypatch.setattr(devices, 'count', lambda: 8)
  assert calls.plan(0, 0, 60, cohort, batches[0]) == Calls(60, 4)


def test_without_a_teacher_there_is_no_pass(assemble, batches):
  alone = assemble(Member('a', 'tests.plain:Plain', 'scratch', {}, OptimizerHparams(), 0))
  assert calls.plan(50, 5, 100, alone, batches[0]) == Calls(50, 1)


def test_each_further_batch_adds_itself_and_the_outputs_to_the_memory(cohort, batches):
  one, five = (memory.estimate(cohort, batches[0], look_ahead=k).shared for k in (1, 5))
  view = jax.eval_shape(Cohort.observe, cohort, batches[0])
  leaves = jax.tree.leaves((batches[0], view.features, view.logits))
  assert five - one == 4 * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


@pytest.mark.parametrize(
  'found, traceable, said',
  [
    (Calls(50, 5), True, []),
    (Calls(4, 4), True, ['look_ahead is 5; the teacher sees 4 at once, as a call takes 4']),
    (
      Calls(),
      False,
      ['look_ahead is 5; the teacher sees 1 at once, as streamed batches come one by one'],
    ),
  ],
)
def test_a_smaller_number_than_asked_for_is_said(cohort, caplog, found, traceable, said):
  with caplog.at_level(logging.WARNING, 'pidkd_jax'):
    calls.report(5, found, cohort, traceable)
  assert caplog.messages == said
