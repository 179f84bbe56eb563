"""Train a cohort from its first step, or its latest checkpoint, to its last epoch."""

import contextlib
import functools
import logging
import pathlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pidkd_jax.core.errors import Stopped, UserError
from pidkd_jax.core.types import Batch, Variables
from pidkd_jax.data.pipeline.batches import Batches
from pidkd_jax.parallel import devices, held_folder, processes
from pidkd_jax.parallel.preemption import Preemption
from pidkd_jax.training import calls, lanes, norms, progress, writers
from pidkd_jax.training.checkpoint import Checkpoints
from pidkd_jax.training.cohort import Cohort, scan
from pidkd_jax.training.compilation import Compilation, compile_all
from pidkd_jax.training.lanes import Lanes
from pidkd_jax.training.learner import BestEpoch, State
from pidkd_jax.training.loop_settings import LoopSettings
from pidkd_jax.training.metrics import MetricsLog, Row
from pidkd_jax.training.outcome import Diverged, Outcome
from pidkd_jax.training.progress import Progress
from pidkd_jax.training.stopwatch import Stopwatch
from pidkd_jax.training.validation import Validation
from pidkd_jax.training.writers import ChosenWriters

logger = logging.getLogger(__name__)

# The progress bar's loss is fetched this often. Each fetch waits for the device.
_SHOW_SECONDS = 2.0


def train(
  cohort: Cohort,
  batches: Batches,
  validation: Validation,
  workdir: pathlib.Path,
  settings: LoopSettings,
  preemption: Preemption | None = None,
  chosen: ChosenWriters = writers.NONE,
) -> tuple[dict[str, Outcome], dict[str, int]]:
  """Train a cohort to its end, from the latest intact checkpoint in `workdir` if there is one.

  A member is left out from where its loss, or its logits at an evaluation, are not finite. The
  others do not depend on it.

  Args:
    cohort: learners and teacher.
    batches: of the training split.
    validation: the split that is evaluated along the way.
    workdir: folder of checkpoints and metrics.
    settings: how the training is carried out.
    preemption: None if this training listens for signals itself. Else a preemption that several
      trainings share, or one that hears no signal.
    chosen: writers of metrics beside the files of `workdir`.

  Returns:
    ({member: outcome}, {member: the step at which it diverged}).

  Raises:
    Stopped: on SIGTERM, SIGINT or a request of `preemption`, after saving.
    Diverged: no member is finite any more.
    UserError: the data cannot be read. The last good checkpoint is kept.
  """
  checkpoints = Checkpoints(workdir / 'checkpoints')
  try:
    training = _Training(cohort, batches, validation, workdir, settings, checkpoints, chosen)
    with contextlib.nullcontext(preemption) if preemption else Preemption() as listening:
      training.run(listening)
    return training.outcomes(), training.diverged
  finally:
    checkpoints.close()


@jax.jit
def _best_epoch(variables: Variables, epoch: jax.Array, top1: jax.Array) -> BestEpoch:
  # A step donates the variables, and its program expects all arrays on every device.
  return devices.replicate(BestEpoch(jax.tree.map(jnp.copy, variables), epoch, top1))


class _Training:
  """One call of `train`: the states, their checkpoints, metrics and progress."""

  def __init__(self, cohort, batches, validation, workdir, settings, checkpoints, chosen):
    self._cohort = cohort
    self._batches = batches
    self._validation = validation
    self._settings = settings
    self._checkpoints = checkpoints
    self._workdir = workdir
    self._stopwatch = Stopwatch(cohort.names)
    self._logits: dict[str, np.ndarray] = {}  # {member: of the last epoch}.
    self._calls = calls.Calls()
    execution = settings.execution
    if batches.traceable:
      self._calls = calls.plan(
        execution.steps_per_call,
        execution.look_ahead,
        batches.steps_per_epoch,
        cohort,
        batches.shapes,
      )
    calls.report(execution.look_ahead, self._calls, cohort, batches.traceable)
    self._side_by_side = execution.side_by_side and self._calls.steps > 1
    if execution.side_by_side and not self._side_by_side:
      logger.warning('side_by_side has no effect, as a call takes one step')
    self._lanes = Lanes(lanes.number())
    self._is_compiled = False  # Whether the call is compiled ahead.
    self._is_ready = False  # Whether it has run once.
    self._total = settings.total_epochs * batches.steps_per_epoch
    self.diverged: dict[str, int] = {}
    self._step, self._states = self._resume()
    self._metrics = MetricsLog(workdir, self._step, chosen)
    self._progress = Progress(
      settings.title,
      epochs=settings.total_epochs,
      images_per_epoch=batches.steps_per_epoch * batches.batch_size,
      done=self._step * batches.batch_size,
    )
    self._saved_at = time.monotonic()
    self._evaluations: Compilation | None = None

  def _resume(self) -> tuple[int, dict[str, State]]:
    title = self._settings.title
    shapes = jax.eval_shape(self._initial, self._batches.shapes)
    restored = self._checkpoints.restore(shapes)
    # Each of several processes would compile in an order of its own, and XLA lets processes wait
    # for others. So they compile at their first calls.
    if not processes.is_multiprocess():
      programs = self._programs() + self._batches.programs()
      if restored is None:
        programs += self._cohort.initial_programs(self._batches.shapes)
      if devices.count() > 1:
        # Beside the first epoch, compilation and programs that wait for other devices could both
        # want what the other one holds.
        programs += self._evaluations_of(shapes)
      with self._stopwatch.leave_out():
        compile_all(title, programs)
      self._is_compiled = True
    if restored is None:
      told = processes.is_multiprocess()
      with progress.working(f'{title}: the initial state', told=told):
        return 0, self._initial(self._first())
    step, states, notes = restored
    self._stopwatch.restore(notes['seconds'])
    logger.info('%s: goes on at step %d of %d', title, step, self._total)
    states = devices.put_replicated(states)
    # Trees are restored in the order of names, and metrics follow the order of members.
    return step, {name: states[name] for name in self._cohort.names}

  def _programs(self) -> list[Callable[[], jax.stages.Lowered]]:
    """Return functions that lower the programs of a call."""
    shapes = self._batches.shapes
    if self._calls.steps == 1:
      return self._cohort.programs(self._initial, shapes)
    states = functools.cache(
      lambda: devices.replicated_shapes(jax.eval_shape(self._initial, shapes))
    )
    order = devices.replicated_shapes(jax.eval_shape(self._batches.order, jnp.int32(0)))

    def call() -> jax.stages.Lowered:
      return scan.lower(self._cohort, states(), *self._arguments(order, jnp.int32(0)))

    return [call]

  def _arguments(self, order: jax.Array, step: jax.Array) -> tuple:
    """Return what `scan` takes beside cohort and states."""
    steps, ahead = self._calls.steps, self._calls.look_ahead
    return self._batches, order, step, steps, ahead, self._side_by_side

  def _first(self) -> Batch:
    """Return the first batch, for its shapes."""
    return self._batches.batch(self._batches.order(jnp.int32(0)), jnp.int32(0))

  def _initial(self, batch: Batch) -> dict[str, State]:
    states = self._cohort.init(batch)
    if not self._validation.selects:
      return states
    return {
      name: state.replace(best=_best_epoch(state.variables, np.int32(0), np.float32(-1)))
      for name, state in states.items()
    }

  def run(self, preemption: Preemption) -> None:
    shown_at = 0.0
    order, order_epoch = None, -1
    self._stopwatch.start()
    try:
      self._check_finite()
      while self._step < self._total:
        epoch, within = divmod(self._step, self._batches.steps_per_epoch)
        if order is None or epoch != order_epoch:
          order, order_epoch = self._batches.order(jnp.int32(epoch)), epoch
        count = min(self._calls.steps, self._batches.steps_per_epoch - within)
        if self._is_ready:
          self._advance(order, count)
          self._progress.advance(count * self._batches.batch_size)
        else:
          self._advance_first(order, count)
        if self._step % self._batches.steps_per_epoch == 0:
          self._end_epoch(epoch + 1)
        elif time.monotonic() - shown_at > _SHOW_SECONDS:
          self._show(epoch + 1, within + count)
          shown_at = time.monotonic()
        due = time.monotonic() - self._saved_at > self._settings.execution.checkpoint_seconds
        # Clocks and signals differ between processes. Agree first, then act at the same step.
        stopped, due = processes.any_process(preemption.requested, due)
        if stopped:
          self._stop(preemption)
        if due:
          self._save()
      self._save()
      self._checkpoints.wait()
      # A signal may have arrived while the end was being saved.
      if processes.any_process(preemption.requested) == [True]:
        self._stop(preemption)
    finally:
      if self._evaluations:
        self._evaluations.close()
      self._lanes.close()
      self._progress.close()
      self._metrics.close()

  def _advance_first(self, order: jax.Array, count: int) -> None:
    """Take steps by a call that runs for the first time, and so counts in no rate."""
    compiling = f'compiling a call of {self._calls.steps} steps, its first run'
    doing = 'first step' if self._is_compiled else compiling
    with (
      progress.working(f'{self._settings.title}: {doing}', told=not self._is_compiled),
      self._progress.pause(),
      self._stopwatch.leave_out(count),
    ):
      self._advance(order, count)
      jax.block_until_ready(self._states)
    self._progress.skip(count * self._batches.batch_size)
    self._is_ready = True
    if self._is_compiled and not self._evaluations and devices.count() == 1:
      # Tracing them takes this thread's time.
      with self._progress.pause(), self._stopwatch.leave_out():
        self._evaluations = Compilation(self._evaluations_of(self._states))

  def _evaluations_of(self, states: dict[str, State]) -> list[Callable[[], jax.stages.Lowered]]:
    """Return functions that lower the programs of an evaluation, for states or their shapes."""
    deployed = [self._cohort.deployed(name, state) for name, state in states.items()]
    return self._validation.programs(deployed)

  def _advance(self, order: jax.Array, count: int) -> None:
    step = jnp.int32(self._step)
    states = self._finite()
    cohort = self._cohort.subset(states)
    if self._calls.steps > 1:
      states = scan(cohort, states, *self._arguments(order, step))
    elif self._is_ready and self._stopwatch.due(self._step % self._batches.steps_per_epoch):
      states = self._stopwatch.step(cohort, states, self._batch(order, step), step)
    else:
      states = self._lanes.step(cohort, states, self._batch(order, step), step)
    self._states |= states
    self._step += count

  def _batch(self, order: jax.Array, step: jax.Array | np.int32) -> Batch:
    if not self._batches.traceable:
      # Images are read ahead. To read the device's number would wait for all steps before.
      step = np.int32(self._step)
    try:
      return self._batches.batch(order, step)
    except UserError:
      # Save the steps on good data. Several processes cannot: the others do not come here.
      if not processes.is_multiprocess():
        self._save()
        self._checkpoints.wait()
      raise

  def _finite(self) -> dict[str, State]:
    """Return the states of the members that have not diverged."""
    return {name: state for name, state in self._states.items() if name not in self.diverged}

  def _show(self, epoch: int, steps: int) -> None:
    name, state = next(iter(self._finite().items()))
    loss = float(state.loss_sums['loss']) / steps
    self._progress.loss(epoch, loss, name if len(self._cohort.names) > 1 else '')

  def _end_epoch(self, epoch: int) -> None:
    held_folder.check(self._workdir)
    self._check_finite()
    steps = self._batches.steps_per_epoch
    seconds = self._stopwatch.lap(steps)
    due = epoch % self._settings.eval_every == 0 or epoch == self._settings.total_epochs
    with self._progress.pause('evaluating' if due else ''):
      if due and self._evaluations:
        self._evaluations.wait()
      rows = self._rows(epoch, seconds, due)
      self._metrics.write(rows, self._validation.teacher_top1 if due else None)
    with self._saving_if_unread():
      self._progress.epoch(
        epoch,
        progress.figures(rows, f'{self._validation.name}_top1'),
        f'{self._validation.name} top-1',
        rows[0]['wall_seconds'],
        steps * self._batches.batch_size,
      )
    # An evaluation does not count as training time.
    self._stopwatch.start()

  @contextlib.contextmanager
  def _saving_if_unread(self) -> Iterator[None]:
    """Save before a log that nobody reads any more ends the program.

    Ctrl-C on `pidkd train 2>&1 | tee log` ends `tee` first.
    """
    try:
      yield
    except BrokenPipeError:
      # Several processes cannot: the others do not come here.
      if not processes.is_multiprocess():
        self._save()
        self._checkpoints.wait()
      raise

  def _rows(self, epoch: int, seconds: Mapping[str, Mapping[str, float]], due: bool) -> list[Row]:
    steps = self._batches.steps_per_epoch
    rows = []
    for name, state in self._finite().items():
      label = self._settings.labels[name]
      row: Row = {'step': self._step, 'epoch': epoch, 'member': name, 'label': label}
      row |= {f'train_{term}': float(value) / steps for term, value in state.loss_sums.items()}
      row |= seconds[name]
      row |= norms.measure(self._cohort.by_name[name], state, self._step - 1)
      if due:
        row |= self._evaluate(name, state, epoch)
      if name not in self.diverged:
        rows.append(row)
    self._states = {
      name: state.replace(loss_sums=optax.tree.zeros_like(state.loss_sums))
      for name, state in self._states.items()
    }
    return rows

  def _evaluate(self, name: str, state: State, epoch: int) -> dict[str, float]:
    variables = self._cohort.by_name[name].evaluated(state)
    final = epoch == self._settings.total_epochs
    logits = self._validation.logits(self._cohort.network(name, variables), final)
    if not np.isfinite(logits).all():
      step = self._step - 1
      # Checkpoints hold it, so that a resume leaves the member out as well.
      self._states[name] = state.replace(bad_step=jnp.int32(step))
      self._leave_out(name, step, 'its logits are')
      return {}
    metrics = self._validation.metrics(logits)
    if state.best is not None and metrics['top1'] > state.best.top1:
      best = _best_epoch(variables, np.int32(epoch), np.float32(metrics['top1']))
      self._states[name] = state.replace(best=best)
    if final:
      self._logits[name] = logits
    return {f'{self._validation.name}_{metric}': value for metric, value in metrics.items()}

  def _check_finite(self) -> None:
    for name, state in self._finite().items():
      step = int(state.bad_step)
      if step >= 0:
        self._leave_out(name, step, 'its loss is')

  def _leave_out(self, name: str, step: int, what: str) -> None:
    self.diverged[name] = step
    if self._calls.steps > 1:
      # A call has a program for all members together.
      self._is_ready = self._is_compiled = False
    logger.warning(
      '%s: %s not finite at step %d (epoch %d); it is left out from here on',
      name,
      what,
      step,
      step // self._batches.steps_per_epoch + 1,
    )
    if not self._finite():
      self._checkpoints.wait()
      raise Diverged(self.diverged)

  def _save(self) -> None:
    held_folder.check(self._workdir)
    self._check_finite()
    self._checkpoints.save(self._step, self._states, {'seconds': self._stopwatch.notes()})
    self._saved_at = time.monotonic()

  def _stop(self, preemption: Preemption) -> None:
    self._save()
    self._checkpoints.wait()
    # Another process may have received the signal, or another group may have failed.
    received = preemption.signal or signal.SIGTERM
    raise Stopped(
      f'stopped by {received.name} at step {self._step} of {self._total}; all is saved, the same '
      'command goes on from there',
      status=128 + received,
    )

  def outcomes(self) -> dict[str, Outcome]:
    memory = self._memory()
    outcomes = {}
    for name, state in self._finite().items():
      if state.best is None:
        network = self._cohort.network(name, self._cohort.by_name[name].evaluated(state))
        epoch, logits = self._settings.total_epochs, self._logits.get(name)
      else:
        network = self._cohort.network(name, state.best.variables)
        epoch, logits = int(state.best.epoch), None
      outcomes[name] = Outcome(network, epoch, memory.get(name), logits)
    return outcomes

  def _memory(self) -> dict[str, int]:
    if self._calls.steps > 1:
      return {}
    batch = self._first()
    teacher = self._cohort.observe(batch)
    return {
      name: self._cohort.memory(name, state, batch, teacher)
      for name, state in self._finite().items()
    }
