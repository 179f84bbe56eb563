"""The training of a cohort, from its first step or its latest checkpoint to its last epoch."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
import logging
import os
import pathlib
import signal
import time
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core.errors import Stopped, UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Batch, Network
from pidkd_jax.data.pipeline.split import Batches, Split
from pidkd_jax.evaluation import classification, inference
from pidkd_jax.parallel import devices, processes
from pidkd_jax.parallel.preemption import Preemption
from pidkd_jax.training.checkpoint import Checkpoints
from pidkd_jax.training.cohort import Best, Cohort, State, observe, scan
from pidkd_jax.training.metrics import MetricsLog, Row
from pidkd_jax.training.progress import Progress
from pidkd_jax.training.stopwatch import Stopwatch

logger = logging.getLogger(__name__)

# How often the live line's loss is fetched: each fetch waits for the device.
_SHOW_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class LoopSettings:
  """How a run is carried out.

  Attributes:
    title: stands before the progress.
    labels: {member: label}; trials of one method share theirs.
    total_epochs: of the whole training.
    eval_every: epochs between evaluations; the last epoch is always evaluated.
    checkpoint_seconds: least time between two checkpoints; the end is always saved.
    steps_per_call: training steps in one compiled call; 0 is 1 on CPU, where a convolution's
      gradient in a loop body is 80 times slower, and 50 elsewhere. It moves results within
      rounding. Of a dataset that is streamed it is 1, as the host hands over each batch.
  """

  title: str
  labels: Mapping[str, str]
  total_epochs: int
  eval_every: int
  checkpoint_seconds: float
  steps_per_call: int

  @property
  def chunk(self) -> int:
    return self.steps_per_call or (1 if jax.default_backend() == 'cpu' else 50)


@dataclasses.dataclass(frozen=True, eq=False)
class Validation:
  """The split that is evaluated along the way.

  Attributes:
    name: 'test', or 'holdout', which selects the epoch that a member keeps.
    labels: int32 [N].
    split: its images.
    teacher: with which agreement is measured, or None.
  """

  name: str
  labels: np.ndarray
  split: inference.EvalSplit
  teacher: Network | None

  @functools.cached_property
  def teacher_logits(self) -> np.ndarray | None:
    """The teacher's logits [N, K], computed where the first epoch is judged."""
    return None if self.teacher is None else inference.logits(self.teacher, self.split)

  @property
  def selects(self) -> bool:
    return self.name == 'holdout'


def validation(
  name: str,
  examples: Split,
  normalisation: Normalisation,
  teacher: Network | None,
) -> Validation:
  """A split as it is evaluated; the fields are Scoring's."""
  return Validation(name, examples.labels, inference.eval_split(examples, normalisation), teacher)


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What a member's training came to.

  Attributes:
    network: what its bundle holds.
    epoch: the epoch, counted from 1, that it is from.
    training_bytes: memory of its step as XLA plans it; None where several run in one call.
  """

  network: Network
  epoch: int
  training_bytes: int | None


def train(
  cohort: Cohort,
  stream: Batches,
  score: Validation,
  workdir: pathlib.Path,
  settings: LoopSettings,
  interruption: Preemption | None = None,
) -> tuple[dict[str, Outcome], dict[str, int]]:
  """Trains a cohort to its end, going on from the latest intact checkpoint in `workdir`.

  A member whose loss is no longer finite is left out from then on, as the others do not depend on
  it.

  Args:
    cohort: ready for its first step.
    stream: of batches.
    score: what is evaluated along the way.
    workdir: of checkpoints and figures.
    settings: how it is done.
    interruption: of several trainings at once; without it this one notes signals itself.

  Returns:
    ({member: outcome}, {member: the step at which it diverged}).

  Raises:
    Stopped: on SIGTERM or SIGINT, or where `interruption` wants it, after saving.
    UserError: no member's loss is finite any more, or the data cannot be read; the last good
      checkpoint is kept.
  """
  checkpoints = Checkpoints(workdir / 'checkpoints', alone=interruption is None)
  try:
    training = _Training(cohort, stream, score, workdir, settings, checkpoints)
    with contextlib.nullcontext(interruption) if interruption else Preemption() as noted:
      training.run(noted)
    return training.outcomes(), training.diverged
  finally:
    checkpoints.close()


class _Training:
  """One call of `train`: the state and what watches it."""

  def __init__(self, cohort, stream, score, workdir, settings, checkpoints):
    self._cohort = cohort
    self._stream = stream
    self._score = score
    self._settings = settings
    self._checkpoints = checkpoints
    self._watch = Stopwatch([name for name, _ in cohort.methods])
    self._chunk = settings.chunk if stream.traceable else 1
    self._total = settings.total_epochs * stream.steps_per_epoch
    self.diverged: dict[str, int] = {}
    self._step, self._states = self._resume()
    self._journal = MetricsLog(workdir, self._step)
    self._progress = Progress(
      settings.title,
      epochs=settings.total_epochs,
      images_per_epoch=stream.steps_per_epoch * stream.batch_size,
      done=self._step * stream.batch_size,
    )
    self._saved_at = time.monotonic()

  def _resume(self) -> tuple[int, dict[str, State]]:
    if self._chunk == 1 and devices.count() == 1:
      self._compile()
    states = self._initial(self._first())
    restored = self._checkpoints.restore(states)
    if restored is None:
      return 0, states
    step, states, notes = restored
    self._watch.restore(notes['seconds'])
    logger.info('%s: goes on at step %d of %d', self._settings.title, step, self._total)
    states = devices.put_replicated(
      states
    )  # In the order of names, where figures follow that of members.
    return step, {name: states[name] for name, _ in self._cohort.methods}

  def _compile(self) -> None:
    """Compiles all programs side by side; whoever calls one finds it then."""
    batch = self._stream.shapes
    states = jax.eval_shape(self._initial, batch)
    programs = itertools.chain(self._cohort.programs(states, batch), self._stream.programs())
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
      # Tracing holds the interpreter, and so stays in this thread; compiling lets go of it.
      compiled = list(pool.map(jax.stages.Lowered.compile, programs))
    logger.info('%s: %d programs compiled', self._settings.title, len(compiled))

  def _first(self) -> Batch:
    """The first batch, by which programs know what they are given."""
    return self._stream.batch(self._stream.order(jnp.int32(0)), jnp.int32(0))

  def _initial(self, batch: Batch) -> dict[str, State]:
    states = self._cohort.init(batch)
    if not self._score.selects:
      return states
    return {
      name: state.replace(
        best=Best(jax.tree.map(jnp.copy, state.variables), jnp.int32(0), jnp.float32(-1))
      )
      for name, state in states.items()
    }

  def run(self, interruption: Preemption) -> None:
    shown_at = 0.0
    order, order_epoch = None, -1
    begun = self._step
    try:
      self._check_finite()
      while self._step < self._total:
        epoch, within = divmod(self._step, self._stream.steps_per_epoch)
        if epoch != order_epoch:
          order, order_epoch = self._stream.order(jnp.int32(epoch)), epoch
        count = min(self._chunk, self._stream.steps_per_epoch - within)
        self._advance(order, count)
        if self._step - count == begun:
          jax.block_until_ready(self._states)
          logger.info('%s: compiled, first step done', self._settings.title)
        self._progress.advance(count * self._stream.batch_size)
        if self._step % self._stream.steps_per_epoch == 0:
          self._end_epoch(epoch + 1)
        elif time.monotonic() - shown_at > _SHOW_SECONDS:
          self._show(epoch + 1, within + count)
          shown_at = time.monotonic()
        due = time.monotonic() - self._saved_at > self._settings.checkpoint_seconds
        # What a clock or a signal tells one process all have to do at the same step.
        stopped, due = processes.any_process(interruption.requested, due)
        if stopped:
          self._stop(interruption)
        if due:
          self._save()
      self._save()
      self._checkpoints.wait()
      # It may have come while the end was being saved.
      if processes.any_process(interruption.requested) == [True]:
        self._stop(interruption)
    finally:
      self._progress.close()
      self._journal.close()

  def _advance(self, order: jax.Array, count: int) -> None:
    step = jnp.int32(self._step)
    cohort, states = self._cohort.of(self._finite()), self._finite()
    if self._chunk > 1:
      states = scan(cohort, states, self._stream, order, step, count)
    elif self._watch.due(self._step % self._stream.steps_per_epoch):
      states = self._watch.step(cohort, states, self._batch(order, step), step)
    else:
      states = cohort.step(states, self._batch(order, step), step)
    self._states |= states
    self._step += count

  def _batch(self, order: jax.Array, step: jax.Array) -> Batch:
    try:
      return self._stream.batch(order, step)
    except UserError:
      # What was trained on good data is kept. Of several processes the others do not come here.
      if not processes.is_multiprocess():
        self._save()
        self._checkpoints.wait()
      raise

  def _finite(self) -> dict[str, State]:
    """The states of the members that have not diverged."""
    return {name: state for name, state in self._states.items() if name not in self.diverged}

  def _show(self, epoch: int, steps: int) -> None:
    sums = next(iter(self._finite().values())).sums
    self._progress.loss(epoch, float(sums['loss']) / steps)

  def _end_epoch(self, epoch: int) -> None:
    self._check_finite()
    steps = self._stream.steps_per_epoch
    seconds = self._watch.lap(steps)
    due = epoch % self._settings.eval_every == 0 or epoch == self._settings.total_epochs
    rows = []
    for name, state in self._finite().items():
      label = self._settings.labels[name]
      row: Row = {'step': self._step, 'epoch': epoch, 'member': name, 'label': label}
      row |= {f'train_{term}': float(value) / steps for term, value in state.sums.items()}
      row |= seconds[name]
      if due:
        row |= self._evaluate(name, state, epoch)
      rows.append(row)
    self._states = {
      name: state.replace(sums=jax.tree.map(jnp.zeros_like, state.sums))
      for name, state in self._states.items()
    }
    self._journal.write(rows)
    self._progress.epoch(
      epoch,
      _figures(rows, f'{self._score.name}_top1'),
      rows[0]['wall_seconds'],
      steps * self._stream.batch_size,
    )
    # Evaluation is not training time.
    self._watch.start()

  def _evaluate(self, name: str, state: State, epoch: int) -> dict[str, float]:
    network = self._cohort.network(name, state.variables)
    logits = inference.logits(network, self._score.split)
    found = classification.metrics(logits, self._score.labels, self._score.teacher_logits)
    if self._score.selects and found['top1'] > state.best.top1:
      self._states[name] = state.replace(
        best=Best(
          jax.tree.map(jnp.copy, state.variables), jnp.int32(epoch), jnp.float32(found['top1'])
        )
      )
    return {f'{self._score.name}_{measure}': value for measure, value in found.items()}

  def _check_finite(self) -> None:
    for name, state in self._finite().items():
      bad = int(state.bad_step)
      if bad < 0:
        continue
      self.diverged[name] = bad
      what = (
        f'the loss of {name} is not finite at step {bad} '
        f'(epoch {bad // self._stream.steps_per_epoch + 1})'
      )
      if not self._finite():
        self._checkpoints.wait()
        raise UserError(
          f'{what}; checkpoints from before it are kept; try a lower learning rate, in another '
          'workdir'
        )
      logger.warning('%s; it is left out from here on, the others go on', what)

  def _save(self) -> None:
    self._check_finite()
    self._checkpoints.save(self._step, self._states, {'seconds': self._watch.notes()})
    self._saved_at = time.monotonic()

  def _stop(self, interruption: Preemption) -> None:
    self._save()
    self._checkpoints.wait()
    # By another process, if not by this one; of what another group's failure stops, none is told.
    received = interruption.signal or signal.SIGTERM
    raise Stopped(
      f'stopped by {received.name} at step {self._step} of {self._total}; all is saved, the same '
      'command goes on from there',
      status=128 + received,
    )

  def outcomes(self) -> dict[str, Outcome]:
    memory = self._memory()
    found = {}
    for name, state in self._finite().items():
      variables, epoch = state.variables, self._settings.total_epochs
      if state.best is not None:
        variables, epoch = state.best.variables, int(state.best.epoch)
      found[name] = Outcome(self._cohort.network(name, variables), epoch, memory.get(name))
    return found

  def _memory(self) -> dict[str, int]:
    if self._chunk > 1:
      return {}
    batch = self._first()
    teacher = observe(self._cohort.teacher, batch)
    return {
      name: self._cohort.memory(name, state, batch, teacher)
      for name, state in self._finite().items()
    }


def _figures(rows: list[Row], accuracy: str) -> str:
  """Loss and accuracy of an epoch by label, each the mean over trials."""
  figures = []
  for label in dict.fromkeys(row['label'] for row in rows):
    own = [row for row in rows if row['label'] == label]
    figure = f'{label} loss {np.mean([row["train_loss"] for row in own]):.4f}'
    if accuracy in own[0]:
      top1 = np.mean([row[accuracy] for row in own])
      figure += f', {accuracy.replace("_top1", " top-1")} {100 * top1:.2f}%'
    figures.append(figure)
  return '; '.join(figures)
