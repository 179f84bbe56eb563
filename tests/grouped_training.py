"""Train members side by side on groups of CPU devices.

python tests/grouped_training.py HOME

This is a process of its own, as JAX fixes the number of CPU devices when it starts.
"""

import functools
import json
import os
import pathlib
import signal
import sys
import threading

import jax
import jax.numpy as jnp
import virtual_devices

from pidkd_jax import models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import Stopped
from pidkd_jax.data import noise
from pidkd_jax.experiment import run
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.models.network import Network
from pidkd_jax.parallel import devices
from pidkd_jax.training.checkpoint import Checkpoints
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.progress import Progress
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

DEVICES, BATCH, STEPS, STOP, SIZE, CLASSES = 8, 16, 10, 13, 8, 5
DATA = noise.dataset(STEPS * BATCH, SIZE, CLASSES)  # Shared, as compiled programs refer to it.


@functools.cache
def teacher() -> Bundle:
  model = models.create('plain:Plain', num_classes=CLASSES)
  variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
  card = {
    'dataset': {'mean': DATA.spec.normalisation.mean, 'std': DATA.spec.normalisation.std},
    'model': models.describe(model),
  }
  return Bundle(Network(jax.device_get(variables), model), card, 'toy', pathlib.Path('toy'))


def train(count: int, groups: int, folder: pathlib.Path) -> None:
  """Train two members over two epochs of ten steps, on `count` devices in `groups`."""
  folder.mkdir(exist_ok=True)
  experiment = Experiment(
    members=tuple(
      Member('kd', 'plain:Plain', 'kd_1_1', {}, OptimizerHparams(), trial) for trial in (0, 1)
    ),
    recipe=Recipe(total_epochs=2, batch_size=BATCH),
    seed=0,
    padding=1,
    flip=True,
    holdout=0.0,
    eval_every=1,
  )
  with devices.use_devices(count, {'batch_size': BATCH}, groups) as used:
    execution = Execution(checkpoint_seconds=60, steps_per_call=1, memory=2**40, groups=used)
    run.execute(experiment, DATA, teacher(), folder, 'students', execution)


def stopped(*how) -> Stopped:
  """Send a training SIGTERM when both members have done `STOP` steps; return how it ends."""
  advance, steps, together = Progress.advance, {}, threading.Barrier(2, timeout=300)

  def advance_and_stop(self, images):
    steps[self] = steps.get(self, 0) + 1
    if steps[self] == STOP and together.wait() == 0:
      os.kill(os.getpid(), signal.SIGTERM)
    advance(self, images)

  Progress.advance = advance_and_stop
  try:
    train(*how)
  except Stopped as error:
    return error
  finally:
    Progress.advance = advance


def saved_on() -> dict[str, list[list[int]]]:
  """Record from here on {folder: the devices of each state that is saved there}."""
  folders = {}
  save = Checkpoints.save

  def save_and_look(self, step, state, notes):
    on = sorted({device.id for leaf in jax.tree.leaves(state) for device in leaf.devices()})
    folders.setdefault(str(self._folder.parent), []).append(on)
    save(self, step, state, notes)

  Checkpoints.save = save_and_look
  return folders


def compiled() -> dict[str, list[str]]:
  """Record from here on which programs are compiled, by calls and by other threads before them."""
  programs = {'by calls': [], 'ahead': []}

  def record(event, seconds, fun_name='', **_):
    if event == '/jax/core/compile/backend_compile_duration':
      in_call = threading.current_thread() is threading.main_thread()
      programs['by calls' if in_call else 'ahead'].append(fun_name)

  jax.monitoring.register_event_duration_secs_listener(record)
  return programs


def main(home: pathlib.Path) -> None:
  teacher()
  stops, states, compiling = {}, saved_on(), compiled()
  train(4, 1, home / 'whole-4')
  on_four = {how: list(names) for how, names in compiling.items()}
  # Two groups of four devices each, and two of one device, which a single group resumes.
  for size, groups in ((4, 2), (1, 1)):
    stops[size] = stopped(2 * size, 2, home / f'parted-{size}')
    train(groups * size, groups, home / f'parted-{size}')
    if size != 4:
      train(size, 1, home / f'whole-{size}')
  programs = jax.devices()[0].client.live_executables()
  results = {
    'stops': {size: [str(error), error.status] for size, error in stops.items()},
    'states': {str(pathlib.Path(path).relative_to(home)): on for path, on in states.items()},
    'compiled': on_four,
    'programs': sorted({tuple(sorted(d.id for d in one.local_devices())) for one in programs}),
  }
  (home / 'results.json').write_text(json.dumps(results))


if __name__ == '__main__':
  virtual_devices.use(DEVICES)
  main(pathlib.Path(sys.argv[1]))
