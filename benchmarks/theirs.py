"""PyTorch's side of a comparison, in several forms.

    plain           eager, as research code has it; images lie on the device
    channels_last   the same in another memory layout
    compiled        channels_last under torch.compile, step by step
    loader          plain, fed by a DataLoader whose workers crop and flip
    graph           channels_last, the whole step as one CUDA graph
    compiled_graph  the whole step, compiled, as one CUDA graph
    max_autotune    the same with the kernels that torch.compile finds fastest by timing

The whole step is augmentation, normalisation, the teacher's and the student's passes, gradients and
a fused SGD. A form of the whole step is one CUDA graph on GPUs. On CPUs it is called as it is.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch

from benchmarks import pair
from benchmarks.pytorch import simkd
from benchmarks.pytorch import train as pytorch_data
from pidkd_jax.data.dataset import Dataset

# Before a capture: cuDNN's choices, compilation, and the optimizer's buffers.
WARM_UP = 5


@dataclasses.dataclass(frozen=True)
class Form:
  """How PyTorch runs the step.

  Attributes:
    compiled: the mode of torch.compile, or None for eager.
    whole: whether augmentation to optimizer is one function, on GPUs a CUDA graph.
    loader: whether worker processes make the batches.
  """

  channels_last: bool = True
  compiled: str | None = None
  whole: bool = False
  loader: bool = False


FORMS = {
  'plain': Form(channels_last=False),
  'channels_last': Form(),
  'compiled': Form(compiled='default'),
  'loader': Form(channels_last=False, loader=True),
  'graph': Form(whole=True),
  'compiled_graph': Form(compiled='default', whole=True),
  # torch.compile makes no graph of its own here, as the whole step is one.
  'max_autotune': Form(compiled='max-autotune-no-cudagraphs', whole=True),
}


def prepare(precision: str) -> None:
  """Set PyTorch's precision of products in float32 for the whole process, and its own tuning."""
  torch.backends.cuda.matmul.allow_tf32 = precision == 'tf32'
  torch.backends.cudnn.allow_tf32 = precision == 'tf32'
  torch.backends.cudnn.benchmark = True


class Theirs:
  """PyTorch's networks and optimizer in one form; `start` is changed in place."""

  def __init__(self, setting: pair.Setting, start: pair.Start, data: Dataset, form: Form):
    layout = torch.channels_last if form.channels_last else torch.contiguous_format
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    self._setting, self._device, self._layout = setting, device, layout
    self._modules = [
      m.to(device, memory_format=layout) for m in (start.student, start.projectors, start.teacher)
    ]
    for module in self._modules[:2]:
      module.train()
    torch.compiler.reset()  # What another form compiled does not count against this one.
    compile = functools.partial(torch.compile, mode=form.compiled) if form.compiled else _same
    self._loss, self._augment = compile(simkd.loss), compile(_augment)
    # On the device, as a CUDA graph cannot copy from the host.
    self._mean, self._std = pytorch_data.MEAN.to(device), pytorch_data.STD.to(device)
    self._optimizer = simkd.sgd(
      *self._modules[:2],
      pair.HPARAMS.learning_rate,
      pair.MOMENTUM,
      pair.HPARAMS.weight_decay,
      fused=form.whole or None,
    )
    images = torch.from_numpy(data.train.images.transpose(0, 3, 1, 2).copy())
    self._images = images if form.loader else images.to(device)
    self._round = (
      self._whole_steps if form.whole else self._loaded_steps if form.loader else self._steps
    )

  def losses(self, images: np.ndarray) -> list[float]:
    """Take a step on each batch of `pair.batches`; return the loss before each."""
    return [
      self._step(
        pytorch_data.normalize(torch.from_numpy(batch.transpose(0, 3, 1, 2).copy()))
      ).item()
      for batch in pair.batches(self._setting, images)
    ]

  def train(self) -> None:
    """Train a round on random crops and flips, and wait for its end."""
    self._round()
    if self._device.type == 'cuda':
      torch.cuda.synchronize()

  def _step(self, image: torch.Tensor) -> torch.Tensor:
    """Take a step on normalised images [B, 3, H, W]; return the loss before it."""
    image = image.to(self._device).contiguous(memory_format=self._layout)
    half = self._setting.precision == 'bfloat16'
    with torch.autocast(self._device.type, torch.bfloat16, enabled=half):
      loss = self._loss(*self._modules, image)
    self._optimizer.zero_grad()
    loss.backward()
    self._optimizer.step()
    return loss.detach()

  def _indices(self) -> Iterator[torch.Tensor]:
    order = torch.randperm(len(self._images), device=self._images.device)
    return itertools.islice(order.split(self._setting.batch_size), self._setting.steps)

  def _steps(self) -> None:
    for index in self._indices():
      self._whole_step(index)

  def _loaded_steps(self) -> None:
    for image in itertools.islice(self._loader, self._setting.steps):
      self._step(image)

  def _whole_steps(self) -> None:
    for index in self._indices():
      self._captured(index)

  def _whole_step(self, index: torch.Tensor) -> torch.Tensor:
    """Take a step on images that lie on the device; return the loss before it."""
    return self._step(self._augment(self._images, index, self._mean, self._std))

  @functools.cached_property
  def _captured(self) -> Callable[[torch.Tensor], None]:
    """The whole step: on GPUs the replay of a CUDA graph."""
    return _capture(self._whole_step, self._device, self._setting.batch_size)

  @functools.cached_property
  def _loader(self) -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(
      _Augmented(self._images),
      self._setting.batch_size,
      shuffle=True,
      num_workers=min(8, torch.get_num_threads()),
      persistent_workers=True,
      multiprocessing_context='spawn',  # JAX has threads, which a fork would lose.
      pin_memory=self._device.type == 'cuda',
    )


def _same(function: Callable) -> Callable:
  return function


def _augment(images, index, mean, std) -> torch.Tensor:
  return (pytorch_data.augment(images[index]) / 255 - mean) / std


def _capture(step: Callable, device: torch.device, batch_size: int) -> Callable:
  """Return a function of indices [B] that takes a step, on GPUs by one CUDA graph."""
  if device.type != 'cuda':
    return step
  static = torch.zeros(batch_size, dtype=torch.int64, device=device)
  aside = torch.cuda.Stream()
  aside.wait_stream(torch.cuda.current_stream())
  with torch.cuda.stream(aside):
    for _ in range(WARM_UP):
      step(static)
  torch.cuda.current_stream().wait_stream(aside)
  graph = torch.cuda.CUDAGraph()
  with torch.cuda.graph(graph):
    step(static)

  def replay(index: torch.Tensor) -> None:
    static.copy_(index)
    graph.replay()

  return replay


class _Augmented(torch.utils.data.Dataset):
  """Images that are cropped, flipped and normalised anew whenever they are read."""

  def __init__(self, images: torch.Tensor):
    self._images = images

  def __len__(self) -> int:
    return len(self._images)

  def __getitem__(self, index: int) -> torch.Tensor:
    return pytorch_data.normalize(pytorch_data.augment(self._images[index : index + 1]))[0]
