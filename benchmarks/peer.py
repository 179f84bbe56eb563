"""Compare the speed of our training step with PyTorch's, on the same work.

python -m benchmarks.peer --teacher resnet32x4 --student resnet8x4 --num_projectors 3

Both sides begin with the same weights. Nothing is timed unless the losses of their first steps
agree, on equal batches without augmentation (in float32 to 1e-3). Then they train in turn, a round
of --steps steps each, on random crops and flips. Both run in one process, with the same threads and
the same tuned allocator, on the GPU where both see one.

PyTorch runs in one of these forms:

    plain          images lie on the device
    channels_last  the same in another memory layout
    compiled       channels_last under torch.compile
    loader         plain, fed by a DataLoader whose workers crop and flip

In bfloat16 PyTorch runs under autocast.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import dataclasses
import functools
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import torch
from absl import flags
from flax import traverse_util

from benchmarks.pytorch import networks, simkd
from benchmarks.pytorch import train as pytorch_data
from pidkd_jax.bundles import torch_import
from pidkd_jax.models import norm_fusion
from pidkd_jax.data import noise
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.nn.precision import PRECISIONS
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.experiment import workdir
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.learner import State
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams
from pidkd_jax.core.types import Batch
from pidkd_jax.models.network import Network

_TEACHER = flags.DEFINE_string('teacher', 'resnet32x4', "The teacher's network.")
_STUDENT = flags.DEFINE_string('student', 'resnet8x4', "The student's network.")
_NUM_PROJECTORS = flags.DEFINE_integer(
  'num_projectors', 3, 'Number of projectors, q.', lower_bound=1
)
_FACTOR = flags.DEFINE_integer(
  'factor', 2, "Factor of the projectors' hidden width, f.", lower_bound=1
)
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Images in a batch.', lower_bound=1)
_FORMS = flags.DEFINE_list('forms', 'channels_last', 'Forms of PyTorch.')
_PRECISION = flags.DEFINE_enum('precision', 'float32', [*PRECISIONS], 'Precision of both sides.')
_STEPS = flags.DEFINE_integer('steps', 6, 'Steps in a round.', lower_bound=1)
_ROUNDS = flags.DEFINE_integer(
  'rounds', 7, 'Timed rounds, after one that is not timed.', lower_bound=1
)

AGREEING_STEPS = 5
# Relative difference of losses that counts as equal. TF32 has 10 bits and bfloat16 has 7.
TOLERANCE = {'float32': 1e-3, 'tf32': 5e-3, 'bfloat16': 5e-2}
CLASSES = 100
HPARAMS = OptimizerHparams()
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
  loader: bool = False


FORMS = {
  'plain': Form(),
  'channels_last': Form(channels_last=True),
  'compiled': Form(channels_last=True, compiled=True),
  'loader': Form(loader=True),
}


def main():
  for form in _FORMS.value:
    if form not in FORMS:
      raise UserError(f'unknown form {form!r}; there are {", ".join(FORMS)}')
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  on_gpu = jax.default_backend() == 'gpu'
  if on_gpu != torch.cuda.is_available():
    raise UserError(
      f'JAX runs on {jax.default_backend()} and PyTorch sees {"no" if on_gpu else "a"} GPU; '
      'install both with CUDA, or set JAX_PLATFORMS=cpu and CUDA_VISIBLE_DEVICES= for neither'
    )
  torch.backends.cuda.matmul.allow_tf32 = _PRECISION.value == 'tf32'
  torch.backends.cudnn.allow_tf32 = _PRECISION.value == 'tf32'
  torch.backends.cudnn.benchmark = True
  print(', '.join(f'{key} {value}' for key, value in workdir.environment().items()))
  print(f'torch {torch.__version__}, {torch.get_num_threads()} threads')
  print(
    f'{_TEACHER.value} -> {_STUDENT.value}, q = {_NUM_PROJECTORS.value}, f = {_FACTOR.value}, '
    f'batch {_BATCH_SIZE.value}, {_PRECISION.value}\n'
  )
  data = noise.dataset(max(AGREEING_STEPS, _STEPS.value) * _BATCH_SIZE.value, 32, CLASSES)
  for name in _FORMS.value:
    start = _start()
    with PRECISIONS[_PRECISION.value].scope():
      ours, theirs = _Ours(start, data), _Theirs(start, data, FORMS[name])
      _agree(ours, theirs, data.train.images)
      _compare(name, ours, theirs)


def _start() -> Start:
  torch.manual_seed(0)
  student = networks.create(_STUDENT.value, CLASSES)
  teacher = networks.create(_TEACHER.value, CLASSES)
  with torch.no_grad():
    images = torch.randn(_BATCH_SIZE.value, 3, 32, 32)
    for _ in range(10):  # The norms' statistics become those of the images.
      teacher(images)
    c_s, c_t = student.distillation_map(images).shape[1], teacher.features(images)[1].shape[1]
  projectors = (simkd.Projector(c_s, c_t, _FACTOR.value) for _ in range(_NUM_PROJECTORS.value))
  return Start(student, simkd.Projectors(projectors), teacher.eval())


class _Theirs:
  """PyTorch's side."""

  def __init__(self, start: Start, data: Dataset, form: Form):
    layout = torch.channels_last if form.channels_last else torch.contiguous_format
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    modules = [
      m.to(device, memory_format=layout) for m in (start.student, start.projectors, start.teacher)
    ]
    self._device, self._layout = device, layout
    self._modules = modules
    self._loss = torch.compile(simkd.loss) if form.compiled else simkd.loss
    self._optimizer = simkd.sgd(*modules[:2], HPARAMS.learning_rate, MOMENTUM, HPARAMS.weight_decay)
    images = torch.from_numpy(data.train.images.transpose(0, 3, 1, 2).copy())
    self._images = images if form.loader else images.to(device)
    self._batches = self._loaded if form.loader else self._made
    self._train()

  def _train(self):
    student, projectors, _ = self._modules
    student.train()
    projectors.train()

  def step(self, image: torch.Tensor) -> torch.Tensor:
    """Take a step on normalised images [B, 3, H, W]; return the loss before it."""
    image = image.to(self._device).contiguous(memory_format=self._layout)
    half = _PRECISION.value == 'bfloat16'
    with torch.autocast(self._device.type, torch.bfloat16, enabled=half):
      loss = self._loss(*self._modules, image)
    self._optimizer.zero_grad()
    loss.backward()
    self._optimizer.step()
    return loss.detach()

  def agreeing(self, image: np.ndarray) -> float:
    return self.step(torch.from_numpy(image.transpose(0, 3, 1, 2).copy())).item()

  def train(self) -> None:
    """One round on random crops and flips."""
    for image in itertools.islice(self._batches(), _STEPS.value):
      self.step(image)
    if torch.cuda.is_available():
      torch.cuda.synchronize()

  def _made(self) -> Iterator[torch.Tensor]:
    """Yield batches of images that lie on the device."""
    order = torch.randperm(len(self._images), device=self._device)
    for index in order.split(_BATCH_SIZE.value):
      yield pytorch_data.normalize(pytorch_data.augment(self._images[index]))

  def _loaded(self) -> Iterator[torch.Tensor]:
    """Yield batches that worker processes crop and flip image by image, as research code does."""
    return iter(self._loader)

  @functools.cached_property
  def _loader(self) -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(
      _Augmented(self._images),
      _BATCH_SIZE.value,
      shuffle=True,
      num_workers=min(8, torch.get_num_threads()),
      persistent_workers=True,
      multiprocessing_context='spawn',  # JAX has threads, which a fork would lose.
      pin_memory=self._device.type == 'cuda',
    )


class _Augmented(torch.utils.data.Dataset):
  """Images that are cropped, flipped and normalised anew whenever they are read."""

  def __init__(self, images: torch.Tensor):
    self._images = images

  def __len__(self) -> int:
    return len(self._images)

  def __getitem__(self, index: int) -> torch.Tensor:
    return pytorch_data.normalize(pytorch_data.augment(self._images[index : index + 1]))[0]


class _Ours:
  """This package's side, which begins with PyTorch's weights."""

  def __init__(self, start: Start, data: Dataset):
    shape = (_BATCH_SIZE.value, *data.spec.image_shape)
    self._dtype = PRECISIONS[_PRECISION.value].dtype
    teacher, initial = _converted(start, shape[1:])
    normalisation = Normalisation(
      *(tuple(map(float, x.flatten())) for x in (pytorch_data.MEAN, pytorch_data.STD))
    )
    member = Member(
      'pidkd',
      _STUDENT.value,
      'pidkd_published',
      {'num_projectors': _NUM_PROJECTORS.value, 'factor': _FACTOR.value},
      HPARAMS,
      trial=0,
    )
    self._cohort: Cohort = cohorts.assemble(
      [member],
      teacher=norm_fusion.fuse_norms(teacher),
      dataset=data.spec,
      image=jax.ShapeDtypeStruct(shape, self._dtype),
      optimizer=Optimizer(total_steps=10**6, boundaries=(), drop_factor=0.1, momentum=MOMENTUM),
      key=jax.random.key(0),
    )
    self._stream = data.train.batches(
      normalisation,
      jax.random.key(1),
      batch_size=_BATCH_SIZE.value,
      padding=pytorch_data.PADDING,
      flip=True,
      dtype=self._dtype,
    )
    self._name = member.name
    self._step = itertools.count()
    [state] = self._cohort.init(self._stream.batch(self._stream.order(0), 0)).values()
    self._state: State = state.replace(
      params=_put(initial.variables['params'], state.params),
      collections=_put(initial.variables, state.collections),
    )

  def agreeing(self, image: np.ndarray) -> float:
    nothing = jnp.zeros(len(image), jnp.int32)  # The loss reads no labels.
    before = float(self._state.loss_sums['loss'])
    self._advance(Batch(jnp.asarray(image, self._dtype), nothing, nothing))
    return float(self._state.loss_sums['loss']) - before

  def _advance(self, batch: Batch) -> None:
    states = self._cohort.step({self._name: self._state}, batch, jnp.int32(next(self._step)))
    self._state = states[self._name]

  def train(self) -> None:
    """One round on random crops and flips."""
    order = self._stream.order(jnp.int32(0))
    if jax.default_backend() == 'cpu':
      for step in range(_STEPS.value):
        self._advance(self._stream.batch(order, jnp.int32(step)))
    else:  # On accelerators `pidkd train` takes many steps in one call.
      states = {self._name: self._state}
      states = cohorts.scan(self._cohort, states, self._stream, order, jnp.int32(0), _STEPS.value)
      self._state = states[self._name]
    jax.block_until_ready(self._state)


def _converted(start: Start, image_shape) -> tuple[Network, Network]:
  """Return (teacher, deployed network) of this package."""

  def arrays(module):
    return {key: value.cpu().numpy().copy() for key, value in module.state_dict().items()}

  teacher = torch_import.network(arrays(start.teacher), _TEACHER.value)
  distilled = [
    torch_import.distilled(
      torch_import.Checkpoint(arrays(start.student), arrays(projector)),
      _STUDENT.value,
      teacher,
      image_shape,
    )
    for projector in start.projectors
  ]
  variables = [network.variables for network in distilled]
  stacked = {
    name: {**tree, 'projectors': jax.tree.map(_joined, *(v[name]['projectors'] for v in variables))}
    for name, tree in variables[0].items()
  }
  return teacher, Network(stacked, distilled[0].model.clone(num_projectors=len(distilled)))


def _joined(*stacks):
  return jnp.concatenate(stacks)


def _put(values, tree):
  """Return `tree` with copies of the values under the same paths."""
  values = traverse_util.flatten_dict(values)
  return traverse_util.unflatten_dict(
    {path: jnp.array(values[path]) for path in traverse_util.flatten_dict(tree)}
  )


def _agree(ours: _Ours, theirs: _Theirs, images: np.ndarray) -> None:
  """Raise UserError if the losses of the first steps differ by more than rounding."""
  mean, std = (x.numpy().reshape(-1) for x in (pytorch_data.MEAN, pytorch_data.STD))
  differences = []
  for batch in images[: AGREEING_STEPS * _BATCH_SIZE.value].reshape(
    AGREEING_STEPS, _BATCH_SIZE.value, *images.shape[1:]
  ):
    image = ((batch / np.float32(255) - mean) / std).astype(np.float32)
    differences.append(abs(ours.agreeing(image) / theirs.agreeing(image) - 1))
  print(f'losses of {AGREEING_STEPS} steps on equal batches are {max(differences):.1e} apart')
  allowed = TOLERANCE[_PRECISION.value]
  if not max(differences) <= allowed:
    raise UserError(f'the losses are {max(differences):.1e} apart, more than {allowed}: not timed')


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
