"""Weights & Biases: a run for each member, in a group for each training."""

import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pidkd_jax.core.errors import UserError
from pidkd_jax.training.writers.ledger import Ledger
from pidkd_jax.training.writers.writer import Training, Writer, floats

logger = logging.getLogger(__name__)

# Seconds to wait for the server, at the start and at the end of a run.
_START, _END = 30.0, 120.0


class WeightsAndBiases(Writer):
  """Send metrics to Weights & Biases, or with WANDB_MODE=offline into the training's folder.

  W&B's own variables hold: WANDB_PROJECT, WANDB_ENTITY, WANDB_DIR, WANDB_API_KEY and so on.
  """

  module = 'wandb'

  @classmethod
  def check(cls, name: str) -> None:
    """Raise UserError where W&B has neither a key nor offline mode; it would ask for one."""
    super().check(name)
    import wandb  # pyright: ignore[reportMissingImports]

    silent = wandb.Settings(silent=True)
    if wandb.setup(silent).settings.mode not in (None, 'online', 'shared'):
      return
    try:
      known, reason = wandb.login(prompt=False, verify=False), 'it has no API key'
    except Exception as error:
      known, reason = False, ' '.join(str(error).split())
    if not known:
      raise UserError(
        f'the writer {name!r} cannot log in: {reason}; run `wandb login`, or set WANDB_MODE=offline'
      )

  def __init__(self, training: Training):
    """Open the members' runs; those of an earlier start go on."""
    self._training = training
    self._ledger = Ledger(training.folder, 'wandb')
    self._runs: dict[str, Any] = {}
    try:
      for member in training.members:
        self._run(member)
    except BaseException:
      self.close(complete=False)
      raise
    if self._runs:
      run = next(iter(self._runs.values()))
      place = f'offline in {os.path.dirname(run.dir)}' if run.offline else f'at {run.url}'
      logger.info('wandb: a run for each member, the first %s', place)

  def _run(self, member: str) -> Any:
    """Return a member's run, opened now if it is not."""
    if member in self._runs:
      return self._runs[member]
    import wandb  # pyright: ignore[reportMissingImports]

    training = self._training
    known = self._ledger.run(member)
    identity = known or uuid.uuid4().hex[:12]
    # W&B keeps the configuration of a run that goes on.
    settings = {**(training.configuration or {}), 'member': training.members.get(member, {})}
    self._runs[member] = wandb.init(
      project=os.environ.get('WANDB_PROJECT', 'pidkd_jax'),
      id=identity,
      name=f'{training.name}/{member}',
      group=training.name,
      dir=os.environ.get('WANDB_DIR', str(training.folder)),
      config=None if known else settings,
      resume='allow',
      reinit='create_new',
      settings=wandb.Settings(
        silent=True,  # The terminal shows the training's own lines.
        console='off',
        init_timeout=_START,
        finish_timeout=_END,
      ),
    )
    if not known:
      self._ledger.begin(member, identity)
    return self._runs[member]

  def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
    """Send rows that were not sent yet. The server takes steps in their order only."""
    unsent = list(self._ledger.unsent(rows))
    for row in unsent:
      values = floats(row) | ({'epoch': row['epoch']} if 'epoch' in row else {})
      self._run(row['member']).log(values, step=row['step'])
    self._ledger.sent(unsent)

  def summarise(self, results: Mapping[str, Mapping[str, float]]) -> None:
    """Put the final results into the runs' summaries."""
    for member, metrics in results.items():
      self._run(member).summary.update({f'final_{name}': one for name, one in metrics.items()})

  def close(self, complete: bool) -> None:
    """End the runs. What is not uploaded by then stays in the folder, for `wandb sync`."""
    for run in self._runs.values():
      run.finish(exit_code=0 if complete else 1)


WRITERS = {'wandb': WeightsAndBiases}
