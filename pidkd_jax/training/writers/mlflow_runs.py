"""MLflow: a run for each member, in one experiment."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from flax import traverse_util

from pidkd_jax.core.errors import UserError
from pidkd_jax.training.writers.ledger import Ledger
from pidkd_jax.training.writers.writer import Training, Writer, floats

logger = logging.getLogger(__name__)

# MLflow takes so many parameters in a call, and so many characters of each.
_PARAMETERS, _CHARACTERS = 100, 6000
# How long MLflow tries to reach its server, unless the user's own variables say otherwise. Its own
# values are minutes.
_PATIENCE = {'MLFLOW_HTTP_REQUEST_MAX_RETRIES': '2', 'MLFLOW_HTTP_REQUEST_TIMEOUT': '20'}


class MLflow(Writer):
  """Send metrics to MLflow's server or local store.

  MLflow's own variables hold: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and so on.
  """

  module = 'mlflow'

  @classmethod
  def check(cls, name: str) -> None:
    """Raise UserError where MLflow has no store that it can use."""
    super().check(name)
    from mlflow import get_tracking_uri  # pyright: ignore[reportMissingImports]

    uri = get_tracking_uri()
    try:
      _client()
    except Exception as error:
      reason = ' '.join(str(error).split())
      raise UserError(
        f'the writer {name!r} cannot use {uri}: {reason}; set MLFLOW_TRACKING_URI to your server'
      ) from error

  def __init__(self, training: Training):
    """Open the members' runs; those of an earlier start go on."""
    self._training = training
    self._ledger = Ledger(training.folder, 'mlflow')
    self._client = _client()
    self._runs: dict[str, str] = {}
    self._steps: dict[str, int] = {}  # {member: of its latest row}.
    name = os.environ.get('MLFLOW_EXPERIMENT_NAME', 'pidkd_jax')
    experiment = self._client.get_experiment_by_name(name)
    self._experiment = (
      experiment.experiment_id if experiment else self._client.create_experiment(name)
    )
    for member in training.members:
      self._run(member)
    logger.info('mlflow: a run for each member, at %s', self._client.tracking_uri)

  def _run(self, member: str) -> str:
    """Return the id of a member's run, opened now if it is not."""
    if member in self._runs:
      return self._runs[member]
    if known := self._ledger.run(member):
      self._client.update_run(known, status='RUNNING')
    else:
      known = self._begin(member)
    self._runs[member] = known
    return known

  def _begin(self, member: str) -> str:
    from mlflow.entities import Param  # pyright: ignore[reportMissingImports]

    training = self._training
    tags = {'training': training.name, 'member': member}
    name = f'{training.name}/{member}'
    run = self._client.create_run(self._experiment, run_name=name, tags=tags).info.run_id
    nested = {**(training.configuration or {}), 'member': training.members.get(member, {})}
    flat = traverse_util.flatten_dict(nested, sep='.')
    parameters = [Param(name, str(value)[:_CHARACTERS]) for name, value in flat.items()]
    for i in range(0, len(parameters), _PARAMETERS):
      self._client.log_batch(run, params=parameters[i : i + _PARAMETERS])
    self._ledger.begin(member, run)
    return run

  def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
    """Send rows that were not sent yet."""
    for row in rows:
      self._steps[row['member']] = row['step']
    unsent = list(self._ledger.unsent(rows))
    for row in unsent:
      self._log(row['member'], floats(row), row['step'])
    self._ledger.sent(unsent)

  def summarise(self, results: Mapping[str, Mapping[str, float]]) -> None:
    """Log the final results as metrics of the last step."""
    for member, metrics in results.items():
      finals = {f'final_{name}': value for name, value in metrics.items()}
      self._log(member, finals, self._steps.get(member, 0))

  def _log(self, member: str, values: Mapping[str, float], step: int) -> None:
    from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]

    now = int(1000 * time.time())
    metrics = [Metric(name, value, now, step) for name, value in values.items()]
    self._client.log_batch(self._run(member), metrics=metrics)

  def close(self, complete: bool) -> None:
    """End the runs."""
    for run in self._runs.values():
      self._client.set_terminated(run, status='FINISHED' if complete else 'KILLED')


def _client() -> Any:
  """Return MLflow's client, which says nothing on the terminal."""
  for name, value in _PATIENCE.items():
    os.environ.setdefault(name, value)
  from mlflow.tracking import MlflowClient  # pyright: ignore[reportMissingImports]

  for name in ('mlflow', 'alembic', 'urllib3.connectionpool'):
    logging.getLogger(name).setLevel(logging.ERROR)
  return MlflowClient()


WRITERS = {'mlflow': MLflow}
