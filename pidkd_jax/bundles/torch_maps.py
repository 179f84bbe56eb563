"""The maps of a PyTorch classifier: those of its stages, and the one that its classifier reads.

They are found by running the network once and comparing numbers, so no network is known by name.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pidkd_jax.core.errors import UserError, first_line, listed

# Of the largest value: a mean in another order of sums differs by less, another map by far more.
_EQUAL = 1e-5
# Class and register tokens that may stand before those of the image's patches.
_MOST_PREFIX_TOKENS = 16


@dataclasses.dataclass(frozen=True)
class Place:
  """Where in a forward pass a map is, and how it becomes [B, C, H, W].

  Attributes:
    module: its name. The map is the output of this module.
    call: the number of the module's call; a module may be called several times.
    layout: 'nchw', 'nhwc', 'tokens' or 'vector'.
    before: whether the map is the module's input in place of its output.
    grid: (H, W) of the patches; for tokens only.
  """

  module: str
  call: int
  layout: str
  before: bool = False
  grid: tuple[int, int] = (1, 1)

  def as_map(self, value: Any) -> Any:
    """Return a tensor of PyTorch or array of numpy as a map [B, C, H, W]."""
    return _MAPS[self.layout](value, self.grid)


def _patches(value: Any, grid: tuple[int, int]) -> Any:
  height, width = grid
  patches = value[:, value.shape[1] - height * width :]
  return patches.reshape(-1, height, width, value.shape[-1]).transpose(1, 3).transpose(2, 3)


_MAPS = {
  'nchw': lambda value, grid: value,
  'nhwc': lambda value, grid: value.transpose(1, 3).transpose(2, 3),
  'tokens': _patches,
  'vector': lambda value, grid: value[:, :, None, None],
}


@dataclasses.dataclass(frozen=True)
class Found:
  """What one forward pass shows of a network.

  Attributes:
    classifier: the name of its linear layer.
    places: of the stages' maps and, at last, of the target map.
    rectified: whether the target map is behind a ReLU: it has zeros, and nothing below.
    logits: [B, K] of the images.
    pooled: [B, C], what the classifier reads.
  """

  classifier: str
  places: tuple[Place, ...]
  rectified: bool
  logits: np.ndarray
  pooled: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Call:
  module: str
  number: int
  input: Any
  output: Any


def find(module: Any, images: np.ndarray, name: str) -> Found:
  """Find the maps of a network.

  Args:
    module: in evaluation mode.
    images: float32 [B, C, H, W].
    name: of the network, for messages.

  Raises:
    UserError: the network refuses these images; or no linear layer makes its logits.
  """
  import torch

  calls: list[_Call] = []
  counts: dict[str, int] = {}

  def hook(which: str):
    def keep(_, args, output):
      number = counts[which] = counts.get(which, 0) + 1
      # A layer after this one may compute in place.
      if isinstance(output, torch.Tensor):
        first = args[0] if args and isinstance(args[0], torch.Tensor) else None
        calls.append(_Call(which, number, first, output.clone()))

    return keep

  handles = [m.register_forward_hook(hook(n)) for n, m in module.named_modules() if n]
  try:
    with torch.no_grad():
      logits = module(torch.from_numpy(images))
  except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
    size = 'x'.join(map(str, images.shape[2:]))
    raise UserError(
      f'{name} refuses images of {size}: {first_line(error)}; give another --image_size'
    ) from error
  finally:
    for handle in handles:
      handle.remove()
  modules = dict(module.named_modules())
  last = _classifier(modules, calls, logits)
  if last is None:
    raise UserError(
      f'{name} does not classify by one linear layer, whose input a student could imitate; its '
      f'last layers are {_last_layers(modules, calls)}'
    )
  pooled, before = last.input, calls[: calls.index(last)]
  target = _target(before, pooled, images.shape[2:])
  if target is None:
    places = (Place(last.module, last.number, 'vector', before=True),)
    stages = _stages(modules, before, 'nchw', images.shape[2:])
    shown = pooled
  else:
    place, call = target
    stages = _stages(modules, before[: before.index(call)], place.layout, images.shape[2:])
    # The stage's map is the target itself where the sizes agree.
    smaller = place.as_map(call.output).shape[2:]
    stages = [s for s in stages if _size(s, before) != smaller] + [place]
    places, shown = (place,), call.output
  rectified = bool(shown.min() == 0)
  return Found(last.module, (*stages, *places), rectified, logits.numpy(), pooled.numpy())


def _classifier(modules: dict[str, Any], calls: Sequence[_Call], logits: Any) -> _Call | None:
  """Return the call of the linear layer that makes the logits, or None."""
  import torch

  for call in reversed(calls):
    layer = modules[call.module]
    if (
      isinstance(layer, torch.nn.Linear)
      and isinstance(logits, torch.Tensor)
      and logits.ndim == 2
      and torch.equal(call.output, logits)
      and _is_close(torch.nn.functional.linear(call.input, layer.weight, layer.bias), logits)
    ):
      return call
  return None


def _is_close(a: Any, b: Any) -> bool:
  return a.shape == b.shape and bool((a - b).abs().max() <= _EQUAL * b.abs().max())


def _target(
  calls: Sequence[_Call], pooled: Any, image: Sequence[int]
) -> tuple[Place, _Call] | None:
  """Return the last map of more than one place whose spatial mean is what the classifier reads."""
  for call in reversed(calls):
    for place in _readings(call, pooled.shape[1], image):
      found = place.as_map(call.output)
      if found.shape[2] * found.shape[3] > 1 and _is_close(found.mean((2, 3)), pooled):
        return place, call
  return None


def _readings(call: _Call, channels: int, image: Sequence[int]) -> list[Place]:
  """Return the ways in which an output may be a map of so many channels."""
  shape = call.output.shape
  if len(shape) == 4:
    layouts = [layout for layout, axis in (('nchw', 1), ('nhwc', 3)) if shape[axis] == channels]
    return [Place(call.module, call.number, layout) for layout in layouts]
  if len(shape) != 3 or shape[2] != channels:
    return []
  grids = []
  for prefix in range(min(_MOST_PREFIX_TOKENS, shape[1])):
    height = round(((shape[1] - prefix) * image[0] / image[1]) ** 0.5)
    if height and (shape[1] - prefix) % height == 0:
      width = (shape[1] - prefix) // height
      if height * image[1] == width * image[0]:
        grids.append((height, width))
  return [Place(call.module, call.number, 'tokens', grid=grid) for grid in grids]


def _stages(
  modules: dict[str, Any], calls: Sequence[_Call], layout: str, image: Sequence[int]
) -> list[Place]:
  """Return the stem's map and the last one of each resolution; only maps in the images' shape.

  Maps within a block that changes the resolution are parts of a stage and are passed over. Where
  blocks follow the stem at its resolution, they are a stage of their own.
  """
  import torch

  if layout not in ('nchw', 'nhwc'):
    return []
  axes = slice(2, 4) if layout == 'nchw' else slice(1, 3)

  def size(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape[axes]) if value is not None and value.ndim == 4 else None

  changing = _names(
    call.module
    for call in calls
    if not isinstance(modules[call.module], torch.nn.Sequential)
    and size(call.input) != size(call.output)
  )
  maps: list[tuple[int, tuple[int, ...], Place]] = []
  finest = image[0] * image[1]
  for index, call in enumerate(calls):
    sides = size(call.output)
    if sides is None or call.module.startswith(changing):
      continue
    # Gates of channels are 1x1, and no stage is finer than the one before.
    if 1 < sides[0] * sides[1] <= finest and sides[0] * image[1] == sides[1] * image[0]:
      finest = sides[0] * sides[1]
      maps.append((index, sides, Place(call.module, call.number, layout)))
  if not maps:
    return []
  _, largest, _ = maps[0]
  keeping = _names(
    call.module
    for call in calls
    if size(call.input) == size(call.output) == largest and _is_block(modules[call.module])
  )
  first = next((i for i, c in enumerate(calls) if f'{c.module}.'.startswith(keeping)), 0)
  stem = [place for index, sides, place in maps if index < first and sides == largest]
  last = {sides: place for _, sides, place in maps}
  return [*stem[-1:], *last.values()]


def _names(modules: Iterable[str]) -> tuple[str, ...]:
  """Return the prefixes of the names of all modules within these."""
  return tuple(f'{module}.' for module in modules)


def _is_block(module: Any) -> bool:
  """Return whether a module is a block of a stage: no mere sequence, and of several layers."""
  import torch

  matrices = sum(parameter.ndim > 1 for parameter in module.parameters())
  return matrices > 1 and not isinstance(module, torch.nn.Sequential)


def _size(place: Place, calls: Sequence[_Call]) -> Any:
  call = next(c for c in calls if (c.module, c.number) == (place.module, place.call))
  return place.as_map(call.output).shape[2:]


def _last_layers(modules: dict[str, Any], calls: Sequence[_Call]) -> str:
  names = dict.fromkeys(call.module for call in calls if not [*modules[call.module].children()])
  return listed([f'{name} ({type(modules[name]).__name__})' for name in [*names][-4:]]) or 'none'
