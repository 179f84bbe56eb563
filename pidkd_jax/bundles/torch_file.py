"""Read the state dicts of a PyTorch or safetensors file; no code in it runs."""

import argparse
import collections
import dataclasses
import math
import pathlib
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pidkd_jax.bundles import torch_names
from pidkd_jax.core import extras
from pidkd_jax.core.errors import UserError, first_line, listed

# {PyTorch's key: array}.
StateDict = Mapping[str, np.ndarray]

# The entries under which training scripts keep a network's state dict; the first of them is taken.
_ENTRIES = (
  'model',
  'state_dict',
  'model_state_dict',
  'model_state',
  'net',
  'network',
  'student',
  'student_state_dict',
  'module',
  'weights',
  'params',
  'checkpoint',
  'state',
  'model_ema',
  'state_dict_ema',
  'ema_state_dict',
  'ema',
)
# Such an entry may hold another one.
_DEPTH = 3
# One file of several, and the list of them.
_PART = re.compile(r'.*-\d+-of-0*(\d+)\.safetensors')
_INDEX = '.safetensors.index.json'
_FLAGS = '--key names the entry that holds the state dict, and --prefix the beginning of its keys'


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """The state dicts of a PyTorch file.

  Attributes:
    model: the network's, without the prefixes of wrappers.
    projector: that of SimKD's projector, or None.
    notes: what was chosen, left out or passed over to find them, a line each.
  """

  model: StateDict
  projector: StateDict | None
  notes: tuple[str, ...] = ()


def read(path: pathlib.Path, key: str = '', prefix: str = '') -> Checkpoint:
  """Read a checkpoint of RepDistiller, mdistiller, SimKD or another training script.

  The state dict is the file itself, or lies under one of the usual names. A prefix that all its
  keys share, such as DataParallel's, is left out. Entries of the file beside it, such as the
  optimizer's state or the best accuracy, are ignored. So are numbers beside the network, such as
  AveragedModel's counter.

  Args:
    path: of the PyTorch or safetensors file.
    key: the entry that holds the state dict, with dots between nested entries; '' to look for it.
    prefix: with which the keys of the network begin; other keys are passed over.

  Raises:
    UserError: PyTorch is not installed. Or the file is missing or damaged, is a part of a
      checkpoint, holds no state dict, or holds objects beyond tensors and numbers.
  """
  _check_whole(path)
  content = _safetensors(path) if _is_safetensors(path) else _pickled(path)
  if not isinstance(content, Mapping):
    raise UserError(f'{str(path)!r} holds a {type(content).__name__} and no state dict; save that')
  place, state, notes = _find(path, content, key)
  if place:
    notes.append(f'the weights are those under {place!r}')
  arrays, passed = _arrays(path, state)
  if passed:
    notes.append(f'passed over, as they are no tensors: {listed(passed, 10)}')
  numbers = [key for key, value in arrays.items() if is_number_beside(key, value)]
  if numbers and len(numbers) < len(arrays):
    notes.append(f'passed over, as they are single numbers: {listed(numbers, 10)}')
    arrays = {key: value for key, value in arrays.items() if key not in numbers}
  arrays, note = _without_prefix(path, arrays, prefix)
  projector = content.get('proj')
  return Checkpoint(
    arrays,
    None if projector is None else _without_prefix(path, _arrays(path, projector)[0], '')[0],
    (*notes, *note),
  )


def unwrapped(state: StateDict) -> tuple[str, StateDict]:
  """Return the first part of the keys that all of them share, and the state without it.

  Returns:
    ('', the state) where they share none.

  Example:
    >>> unwrapped({'net.fc.weight': 0, 'net.fc.bias': 1})
    ('net.', {'fc.weight': 0, 'fc.bias': 1})
  """
  parts = {key.partition('.')[0] for key in state}
  if len(parts) != 1 or not all('.' in key for key in state):
    return '', state
  [part] = parts
  return f'{part}.', {key.removeprefix(f'{part}.'): value for key, value in state.items()}


def largest_part(state: StateDict) -> tuple[str, StateDict]:
  """Return the first part of most keys, where other keys lack it, and these keys without it.

  A training that keeps a whole module, such as Lightning's, has its loss or metrics beside the
  network.

  Returns:
    ('', {}) where no part is that of most keys.

  Example:
    >>> largest_part({'model.fc.weight': 0, 'model.fc.bias': 1, 'criterion.weight': 2})
    ('model.', {'fc.weight': 0, 'fc.bias': 1})
  """
  parts = collections.Counter(key.partition('.')[0] for key in state if '.' in key)
  for part, count in parts.most_common(1):
    if len(state) / 2 < count < len(state):
      start = f'{part}.'
      return start, {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
  return '', {}


def is_number_beside(key: str, value: np.ndarray) -> bool:
  """Whether an entry is a single number of no module, such as AveragedModel's n_averaged."""
  return np.ndim(value) == 0 and '.' not in key


def _check_whole(path: pathlib.Path) -> None:
  """Raise UserError for one of several files of a checkpoint, and for the list of them."""
  part = _PART.fullmatch(path.name)
  if not path.is_file() or not (path.name.endswith(_INDEX) or (part and part[1] != '1')):
    return
  what = f'is one of {part[1]} parts of a checkpoint' if part else 'lists the parts of a checkpoint'
  raise UserError(
    f'{str(path)!r} {what}; join them into one file: from safetensors.torch import load_file, '
    'save_file; save_file({k: v for part in PARTS for k, v in load_file(part).items()}, '
    "'model.safetensors')"
  )


def _is_safetensors(path: pathlib.Path) -> bool:
  """Whether a file has that suffix, or begins as such a file: eight bytes and a JSON object."""
  if path.suffix == '.safetensors' or not path.is_file():
    return path.suffix == '.safetensors'
  with path.open('rb') as file:
    start = file.read(9)
  return start[8:] == b'{' and int.from_bytes(start[:8], 'little') < path.stat().st_size


def _safetensors(path: pathlib.Path) -> StateDict:
  with extras.needed(f'reading {str(path)!r}'):
    from safetensors.numpy import load_file
  _check_file(path)
  try:
    return load_file(path)
  except Exception as error:  # A damaged file can fail in many ways.
    raise UserError(
      f'{str(path)!r} is damaged or no safetensors file ({first_line(error)}); get it anew'
    ) from error


def _check_file(path: pathlib.Path) -> None:
  if not path.is_file():
    raise UserError(f'checkpoint {str(path)!r} is not there; give the path of a PyTorch file')


def _pickled(path: pathlib.Path) -> Any:
  with extras.needed(f'reading {str(path)!r}'):
    import torch
  _check_file(path)
  # Some files hold their options and their best accuracy too, a numpy number. Both are harmless.
  # Files written under numpy 1 have another name for such a number.
  scalar = np._core.multiarray.scalar  # pyright: ignore[reportAttributeAccessIssue]
  harmless = [
    argparse.Namespace,
    np.dtype,
    scalar,
    (scalar, 'numpy.core.multiarray.scalar'),
    *map(type, map(np.dtype, 'fdil')),
  ]
  try:
    _check_size(path)
    with torch.serialization.safe_globals(harmless):
      return torch.load(path, map_location='cpu', weights_only=True)
  except pickle.UnpicklingError as error:
    name = str(error).partition('GLOBAL ')[2].split()[:1]
    raise UserError(
      f'checkpoint {str(path)!r} is not loaded: it '
      + (f'names code ({name[0]})' if name else 'is none or holds more than tensors')
      + ', which could do anything; where you trust it, save its tensors alone: '
      "torch.save(torch.load(FILE, weights_only=False)[ENTRY], NEW), where ENTRY is 'model', "
      "'state_dict' or another"
    ) from error
  except Exception as error:  # Other files fail in many ways.
    reason = ' '.join(f'{type(error).__name__} {error}'.split())[:100]
    raise UserError(
      f'{str(path)!r} is damaged or no PyTorch file ({reason}); get it anew'
    ) from error


def _check_size(path: pathlib.Path) -> None:
  """Raise ValueError for an archive that declares more bytes than it has; PyTorch's do not."""
  # PyTorch looks further for the end of an archive than Python does, which then refuses it.
  with path.open('rb') as start:
    begins = start.read(2) == b'PK'
  if begins or zipfile.is_zipfile(path):
    with zipfile.ZipFile(path) as file:
      declared = sum(member.file_size for member in file.infolist())
    if declared > path.stat().st_size:
      raise ValueError(f'it declares {declared:,} bytes and has {path.stat().st_size:,}')


def _find(
  path: pathlib.Path, content: Mapping[Any, Any], key: str
) -> tuple[str, Mapping[Any, Any], list[str]]:
  """Return (the entry's name, the state dict under it, notes)."""
  if key:
    return key, _entry(path, content, key), []
  found = dict(_candidates(content, '', _DEPTH))
  # The file itself, if most tensors lie bare. A few may stand beside a state dict.
  bare = sum(map(_is_tensor, content.values()))
  if bare > max(map(len, found.values()), default=0):
    return '', content, []
  if not found:
    raise UserError(
      f'{str(path)!r} holds no state dict where one is expected: its entries are '
      f'{_entries(content)}; {_FLAGS}'
    )
  first, *others = found
  notes = [f'there are also weights under {listed(others, 5)}; --key takes them'] if others else []
  return first, found[first], notes


def _candidates(
  content: Mapping[Any, Any], prefix: str, depth: int
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
  """Yield (dotted name, state dict) for all that lie under the usual names, the likeliest first."""
  for name in _ENTRIES if depth else ():
    value = content.get(name)
    if isinstance(value, Mapping):
      if any(map(_is_tensor, value.values())):
        yield prefix + name, value
      else:
        yield from _candidates(value, f'{prefix}{name}.', depth - 1)


def _entry(path: pathlib.Path, content: Mapping[Any, Any], key: str) -> Mapping[Any, Any]:
  """Return the entry that a dotted key names."""
  entry: Any = content
  rest = key
  while rest:
    if not isinstance(entry, Mapping):
      break
    # A name may itself have dots.
    known = [name for name in map(str, entry) if rest == name or rest.startswith(f'{name}.')]
    if not known:
      raise UserError(
        f'{str(path)!r} has no entry --key={key}; its entries are {_entries(content)}'
      )
    name = max(known, key=len)
    entry = next(value for other, value in entry.items() if str(other) == name)
    rest = rest[len(name) + 1 :]
  if not isinstance(entry, Mapping) or not entry:
    raise UserError(
      f'{str(path)!r} holds no state dict under --key={key}; its entries are {_entries(content)}'
    )
  return entry


def _entries(content: Mapping[Any, Any]) -> str:
  """Return the names of a file's entries, for a message; those of its groups with their keys."""
  names = []
  for name, value in content.items():
    keys = f' ({listed(list(value), 3)})' if isinstance(value, Mapping) and value else ''
    names.append(f'{str(name)[:60]}{keys[:120]}')
  return ascii(listed(names, 10) or 'none').strip('\'"')


def _is_tensor(value: Any) -> bool:
  return hasattr(value, 'shape') and hasattr(value, 'dtype') and len(value.shape) > 0


def _arrays(path: pathlib.Path, state: Any) -> tuple[StateDict, list[str]]:
  """Return a state dict of tensors as numpy arrays, and the keys of what is no tensor."""
  if not isinstance(state, Mapping) or not state:
    raise UserError(f'{str(path)!r} holds no state dict where one is expected; {_FLAGS}')
  arrays, invalid, passed, size = {}, [], [], 0
  for key, value in state.items():
    if not isinstance(key, str):
      invalid.append(str(key))
    elif isinstance(value, np.ndarray):
      arrays[key] = value
    elif not hasattr(value, 'detach'):
      passed.append(key)
    else:
      try:
        size += math.prod(value.shape) * value.element_size()
        if math.prod(value.shape) * value.element_size() > value.untyped_storage().nbytes():
          raise UserError(
            f'{str(path)!r}: {key} is of shape {list(value.shape)}, for which it has too few '
            'numbers; save a contiguous copy'
          )
        # Many keys may share one tensor.
        if size > 4 * path.stat().st_size + 2**20:
          raise UserError(f'{str(path)!r} declares more numbers than it has; get it anew')
        # numpy has no bfloat16.
        value = value.float() if value.is_floating_point() else value
        arrays[key] = value.detach().numpy()
      except (AttributeError, TypeError, RuntimeError, NotImplementedError):
        invalid.append(key)
  if invalid or not arrays:
    raise UserError(
      f'{str(path)!r} holds no state dict: {listed(invalid or passed, 3)} is no dense tensor; '
      f'{_FLAGS}'
    )
  return arrays, passed


def _without_prefix(
  path: pathlib.Path, arrays: StateDict, prefix: str
) -> tuple[StateDict, list[str]]:
  """Return a state dict without the prefixes of wrappers, and notes on them.

  Args:
    path: of the file, for messages.
    arrays: the state dict.
    prefix: the user's, or ''.
  """
  notes = []
  if prefix:
    start = prefix if prefix.endswith('.') else f'{prefix}.'
    chosen = {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
    if not chosen:
      raise UserError(
        f'no key of {str(path)!r} begins with --prefix={prefix}; they are {listed(list(arrays), 5)}'
      )
    if len(chosen) < len(arrays):
      notes.append(f'{len(arrays) - len(chosen)} entries without --prefix={prefix} passed over')
    arrays = chosen
  removed = ''
  while True:
    part, inner = unwrapped(arrays)
    if not part or torch_names.is_known(part.rstrip('.')):
      break
    removed, arrays = removed + part, inner
  if removed:
    notes.append(f'the prefix {removed!r} of all keys is left out')
  if {key.partition('.')[0] for key in arrays} >= {'student', 'teacher'}:
    raise UserError(
      f'{str(path)!r} holds a whole distillation (student.*, teacher.*): take a part by --prefix, '
      "e.g. --prefix student; mdistiller's files of the student alone are called student_best and "
      'student_latest'
    )
  return arrays, notes
