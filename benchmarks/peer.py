"""Our training step beside PyTorch's, doing exactly the same work, in turn.

python -m benchmarks.peer --teacher resnet32x4 --student resnet8x4 --num_projectors 3

Both begin with the same weights; on equal batches without augmentation the losses of their first
steps have to agree to 1e-3, or nothing is timed. Then each trains for a round of --steps steps on
random crops and flips of images that lie in memory, and the other one after it, for --rounds
rounds, in one process: with the same threads and the same tuned allocator. Forms of the peer:
plain, channels_last, compiled (channels_last by torch.compile).
"""

from pidkd_jax import app  # First: it sets the process up before JAX is imported.

import dataclasses
import itertools
import os
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch
from absl import flags
from flax import traverse_util

from benchmarks.pytorch import networks, simkd
from benchmarks.pytorch import train as pytorch_data
from pidkd_jax import folding, torch_import
from pidkd_jax.data import batches, noise
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.errors import UserError
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training import workdir
from pidkd_jax.training.cohort import Cohort, Member, State
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import Numbers
from pidkd_jax.types import Batch, Network

_TEACHER = flags.DEFINE_string('teacher', 'resnet32x4', 'Network.')
_STUDENT = flags.DEFINE_string('student', 'resnet8x4', 'Network.')
_NUM_PROJECTORS = flags.DEFINE_integer('num_projectors', 3, 'q.', lower_bound=1)
_FACTOR = flags.DEFINE_integer('factor', 2, 'f.', lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Images of a step.', lower_bound=1)
_FORMS = flags.DEFINE_list('forms', 'channels_last', 'Of the peer, by commas.')
_STEPS = flags.DEFINE_integer('steps', 6, 'In a round.', lower_bound=1)
_ROUNDS = flags.DEFINE_integer('rounds', 7, 'Timed, after one that is not.', lower_bound=1)

AGREEING_STEPS = 5
TOLERANCE = 1e-3
CLASSES = 100
NUMBERS = Numbers()
MOMENTUM = 0.9


@dataclasses.dataclass
class Start:
  """PyTorch's networks, from which both sides begin."""

  student: networks.Network
  projectors: simkd.Projectors
  teacher: networks.Network


@dataclasses.dataclass(frozen=True)
class Form:
  """How PyTorch runs the step."""

  channels_last: bool = False
  compiled: bool = False


FORMS = {
  'plain': Form(),
  'channels_last': Form(channels_last=True),
  'compiled': Form(channels_last=True, compiled=True),
}


def main():
  for form in _FORMS.value:
    if form not in FORMS:
      raise UserError(f'unknown form {form!r}; there are {", ".join(FORMS)}')
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  print(', '.join(f'{key} {value}' for key, value in workdir.environment().items()))
  print(f'torch {torch.__version__}, {torch.get_num_threads()} threads')
  print(
    f'{_TEACHER.value} -> {_STUDENT.value}, q = {_NUM_PROJECTORS.value}, f = {_FACTOR.value}, '
    f'batch {_BATCH_SIZE.value}, float32\n'
  )
  data = noise.dataset(max(AGREEING_STEPS, _STEPS.value) * _BATCH_SIZE.value, 32, CLASSES)
  for name in _FORMS.value:
    start = _start()
    ours, theirs = _Ours(start, data), _Theirs(start, data, FORMS[name])
    _agree(ours, theirs, data.train.images)
    _compare(name, ours, theirs)


def _start() -> Start:
  torch.manual_seed(0)
  student = networks.create(_STUDENT.value, CLASSES)
  teacher = networks.create(_TEACHER.value, CLASSES)
  with torch.no_grad():
    images = torch.randn(_BATCH_SIZE.value, 3, 32, 32)
    for _ in range(10):  # The norms' statistics become those of images.
      teacher(images)
    c_s, c_t = student.distillation_map(images).shape[1], teacher.features(images)[1].shape[1]
  projectors = (simkd.Projector(c_s, c_t, _FACTOR.value) for _ in range(_NUM_PROJECTORS.value))
  return Start(student, simkd.Projectors(projectors), teacher.eval())


class _Theirs:
  """PyTorch's side."""

  def __init__(self, start: Start, data: Dataset, form: Form):
    layout = torch.channels_last if form.channels_last else torch.contiguous_format
    modules = [m.to(memory_format=layout) for m in (start.student, start.projectors, start.teacher)]
    self._layout = layout
    self._modules = modules
    self._loss = torch.compile(simkd.loss) if form.compiled else simkd.loss
    self._optimizer = simkd.sgd(*modules[:2], NUMBERS.learning_rate, MOMENTUM, NUMBERS.weight_decay)
    self._images = torch.from_numpy(data.train.images.transpose(0, 3, 1, 2).copy())
    self._train()

  def _train(self):
    student, projectors, _ = self._modules
    student.train()
    projectors.train()

  def step(self, image: torch.Tensor) -> torch.Tensor:
    """[B, 3, H, W], normalised -> the loss before it."""
    loss = self._loss(*self._modules, image.contiguous(memory_format=self._layout))
    self._optimizer.zero_grad()
    loss.backward()
    self._optimizer.step()
    return loss.detach()

  def agreeing(self, image: np.ndarray) -> float:
    return self.step(torch.from_numpy(image.transpose(0, 3, 1, 2).copy())).item()

  def train(self) -> None:
    """One round on random crops and flips."""
    order = torch.randperm(len(self._images)).split(_BATCH_SIZE.value)
    for index in order[: _STEPS.value]:
      self.step(pytorch_data.normalize(pytorch_data.augment(self._images[index])))


class _Ours:
  """This package's side, begun with PyTorch's weights."""

  def __init__(self, start: Start, data: Dataset):
    shape = (_BATCH_SIZE.value, *data.spec.image_shape)
    teacher, initial = _converted(start, shape[1:])
    mean, std = (tuple(map(float, x.flatten())) for x in (pytorch_data.MEAN, pytorch_data.STD))
    member = Member(
      'pidkd',
      _STUDENT.value,
      'pidkd_published',
      {'num_projectors': _NUM_PROJECTORS.value, 'factor': _FACTOR.value},
      NUMBERS,
      trial=0,
    )
    self._cohort: Cohort = cohorts.assemble(
      [member],
      teacher=folding.fold(teacher),
      dataset=data.spec,
      image=jax.ShapeDtypeStruct(shape, jnp.float32),
      optimizer=Optimizer(total_steps=10**6, boundaries=(), drop_factor=0.1, momentum=MOMENTUM),
      key=jax.random.key(0),
    )
    self._stream = batches.stream(
      data.train,
      mean,
      std,
      jax.random.key(1),
      batch_size=_BATCH_SIZE.value,
      padding=pytorch_data.PADDING,
      flip=True,
    )
    self._name = member.name
    self._step = itertools.count()
    [state] = self._cohort.init(self._stream.batch(self._stream.order(0), 0)).values()
    self._state: State = state.replace(
      params=_put(initial.variables['params'], state.params),
      collections=_put(initial.variables, state.collections),
    )

  def agreeing(self, image: np.ndarray) -> float:
    nothing = jnp.zeros(len(image), jnp.int32)  # Its loss reads no labels.
    before = float(self._state.sums['loss'])
    self._advance(Batch(jnp.asarray(image), nothing, nothing))
    return float(self._state.sums['loss']) - before

  def _advance(self, batch: Batch) -> None:
    states = self._cohort.step({self._name: self._state}, batch, jnp.int32(next(self._step)))
    self._state = states[self._name]

  def train(self) -> None:
    """One round on random crops and flips."""
    order = self._stream.order(jnp.int32(0))
    for step in range(_STEPS.value):
      self._advance(self._stream.batch(order, jnp.int32(step)))
    jax.block_until_ready(self._state)


def _converted(start: Start, image_shape) -> tuple[Network, Network]:
  """(teacher, what is deployed) in this package."""

  def arrays(module):
    return {key: value.numpy().copy() for key, value in module.state_dict().items()}

  teacher = torch_import.network(arrays(start.teacher), _TEACHER.value)
  whole = [
    torch_import.distilled(
      torch_import.Checkpoint(arrays(start.student), arrays(projector)),
      _STUDENT.value,
      teacher,
      image_shape,
    )
    for projector in start.projectors
  ]
  variables = [one.variables for one in whole]
  stacked = {
    name: {**tree, 'projectors': jax.tree.map(_joined, *(v[name]['projectors'] for v in variables))}
    for name, tree in variables[0].items()
  }
  return teacher, Network(stacked, whole[0].model.clone(num_projectors=len(whole)))


def _joined(*stacks):
  return jnp.concatenate(stacks)


def _put(values, tree):
  """`tree` with copies of the values that lie under the same paths."""
  values = traverse_util.flatten_dict(values)
  return traverse_util.unflatten_dict(
    {path: jnp.array(values[path]) for path in traverse_util.flatten_dict(tree)}
  )


def _agree(ours: _Ours, theirs: _Theirs, images: np.ndarray) -> None:
  mean, std = (x.numpy().reshape(-1) for x in (pytorch_data.MEAN, pytorch_data.STD))
  apart = []
  for batch in images[: AGREEING_STEPS * _BATCH_SIZE.value].reshape(
    AGREEING_STEPS, _BATCH_SIZE.value, *images.shape[1:]
  ):
    image = ((batch / np.float32(255) - mean) / std).astype(np.float32)
    found, wanted = ours.agreeing(image), theirs.agreeing(image)
    apart.append(abs(found / wanted - 1))
  print(f'losses of {AGREEING_STEPS} steps on equal batches are {max(apart):.1e} apart')
  if not max(apart) <= TOLERANCE:
    raise UserError(f'the losses are {max(apart):.1e} apart, more than {TOLERANCE}: not timed')


def _compare(name: str, ours: _Ours, theirs: _Theirs) -> None:
  sides = {'ours': ours, f'PyTorch, {name}': theirs}
  seconds = {title: [] for title in sides}
  for timed in [False] + [True] * _ROUNDS.value:
    for title, side in sides.items():
      taken = _timed(side.train)
      if timed:
        seconds[title].append(taken)
  images = _STEPS.value * _BATCH_SIZE.value
  print('\n| training step | images/s | slowest - fastest round | ms |')
  print('|--|--|--|--|')
  for title, own in seconds.items():
    speeds = sorted(images / s for s in own)
    print(
      f'| {title} | {statistics.median(speeds):,.0f} | {speeds[0]:,.0f} - {speeds[-1]:,.0f} '
      f'| {1000 * statistics.median(own) / _STEPS.value:.0f} |'
    )
  ratios = sorted(b / a for a, b in zip(*seconds.values(), strict=True))
  print(
    f'ours at {statistics.median(ratios):.2f} times the speed of PyTorch, {name} '
    f'({ratios[0]:.2f} - {ratios[-1]:.2f} over {len(ratios)} rounds)\n'
  )


def _timed(function: Callable[[], None]) -> float:
  started = time.perf_counter()
  function()
  return time.perf_counter() - started


if __name__ == '__main__':
  app.run(main)
