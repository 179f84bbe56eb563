"""What a finished training leaves in its folder: outputs on the test images, and bundles."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.evaluation import inference, outputs
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.evaluation.evaluate import Evaluation, evaluate
from pidkd_jax.experiment import workdir
from pidkd_jax.experiment.assembly import Assembly
from pidkd_jax.training import metrics
from pidkd_jax.training.outcome import Outcome
from pidkd_jax.training.validation import Validation

# The times of a member that its card sums over the epochs (`Stopwatch.lap`).
_SECONDS = ('wall_seconds', 'compile_seconds', 'seconds', 'teacher_seconds')


def judge(
  outcomes: Mapping[str, Outcome],
  validation: Validation,
  dataset: Dataset,
  normalisation: Normalisation,
  teacher: Bundle | None,
) -> dict[str, Evaluation]:
  """Evaluate the trained networks on the test split.

  Args:
    outcomes: {member: outcome}.
    validation: what was evaluated along the way. Logits of the test split are not computed again.
    dataset: has the test split.
    normalisation: of teacher and students.
    teacher: of the students, or None.

  Returns:
    {member: evaluation}. A member whose variables, logits or metrics are not finite is missing.
  """
  batches = inference.eval_batches(dataset.test, normalisation)
  at_hand = {} if validation.selects else _logits(outcomes)
  networks, logits = {}, {}
  for name, outcome in outcomes.items():
    if _is_finite(outcome.network.variables):
      own = at_hand.get(name)
      logits[name] = inference.logits(outcome.network, batches) if own is None else own
      if _is_finite(logits[name]):
        networks[name] = outcome.network
  evaluations = evaluate(
    networks,
    dataset.test,
    normalisation,
    teacher and teacher.network,
    logits=logits,
    teacher_logits=None if validation.selects else validation.teacher_logits,
  )
  return {name: one for name, one in evaluations.items() if _is_finite(one.metrics)}


def _is_finite(tree: Any) -> bool:
  return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(tree)))


def save(
  assembled: Assembly,
  outcomes: Mapping[str, Outcome],
  evaluations: Mapping[str, Evaluation],
  validation: Validation,
  dataset: Dataset,
  normalisation: Normalisation,
  teacher: Bundle | None,
  start: Bundle | None,
  folder: pathlib.Path,
) -> None:
  """Write outputs and bundles of the trained networks.

  Args:
    assembled: what was trained.
    outcomes: {member: outcome}.
    evaluations: {member: evaluation}, by `judge`. A member that is missing leaves nothing.
    validation: what was evaluated along the way.
    dataset: has the test split.
    normalisation: of teacher and students.
    teacher: of the students, or None.
    start: with whose variables the students began, or None.
    folder: of the run.

  Raises:
    UserError: the folder has lost its metrics.
  """
  experiment, selects = assembled.experiment, validation.selects
  rows = metrics.read(folder)
  if not {row['member'] for row in rows} >= evaluations.keys():
    raise UserError(f'{str(folder)!r} has lost its metrics.jsonl; remove the run to start over')
  deployed, environment, cards = assembled.deployed(), workdir.environment(), {}
  for member in (member for member in experiment.members if member.name in evaluations):
    outcome, evaluation = outcomes[member.name], evaluations[member.name]
    own_rows = [row for row in rows if row['member'] == member.name]
    results: dict[str, Any] = dict(evaluation.metrics)
    if not selects:
      results['best_on_test'] = _best(own_rows)
    cards[member.name] = {
      'label': member.label,
      'network': member.student,
      'dataset': bundle.dataset_card(dataset.spec, normalisation),
      'training': {
        **dataclasses.asdict(experiment),
        'members': len(experiment.members),
        'member': dataclasses.asdict(member),
        'needs_labels': assembled.cohort.by_name[member.name].method.needs_labels,
        'teacher': teacher and teacher.reference(),
        'start': start and start.reference(),
        'unlabelled': _unlabelled(assembled, dataset),
        'epoch': outcome.epoch,
        'selection': 'best epoch on the hold-out' if selects else 'last epoch',
        **_seconds(own_rows),
      },
      'cost': {
        **dataclasses.asdict(cost(deployed[member.label], dataset.spec.image_shape)),
        'training_bytes': outcome.training_bytes,
      },
      'results': results,
      'environment': environment,
    }
    outputs.save(
      folder / 'outputs' / f'{member.name}.npz',
      evaluation.logits,
      outcome.network,
      dataset.test,
      normalisation,
    )
  # A run that has its bundles is complete, so they come last.
  for name, card in cards.items():
    bundle.save(folder / 'bundles' / name, outcomes[name].network, card)


def _unlabelled(assembled: Assembly, dataset: Dataset) -> dict[str, Any] | None:
  """Return a card's entry on the training images without labels, or None."""
  count = assembled.unlabelled
  added = dataset.unlabelled and dataset.unlabelled.fingerprint
  return {'images': count, 'fingerprint': added} if count else None


def _logits(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
  return {name: one.logits for name, one in outcomes.items() if one.logits is not None}


def _seconds(rows: list[metrics.Row]) -> dict[str, float]:
  """Sum a member's times, each only where every epoch has it."""
  return {
    name: sum(row[name] for row in rows) for name in _SECONDS if all(name in row for row in rows)
  }


def _best(rows: list[metrics.Row]) -> dict[str, float]:
  """Return the epoch with the best test accuracy, which is optimistic: test images selected it."""
  best = max((row for row in rows if 'test_top1' in row), key=lambda row: row['test_top1'])
  return {'top1': best['test_top1'], 'epoch': best['epoch']}
