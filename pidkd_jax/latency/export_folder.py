"""Folders of exports as candidates: a file for another runtime, card.json and manifest.json."""

import pathlib
from collections.abc import Mapping
from typing import Any

from pidkd_jax.core import atomic_folder, exported_program, regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.latency.candidate import Candidate, data_of, display_name

# {suffix of the file: (module that runs it, whether it also runs on accelerators)}.
_RUNTIMES = {'.onnx': ('onnx', False), '.stablehlo': ('stablehlo', True)}


def read(folder: pathlib.Path) -> Candidate:
  """Read the candidate in an export's folder, after checking every file's SHA-256.

  Raises:
    UserError: The folder is missing, damaged or no export, or its file holds only variables.
  """
  manifest = _read_object(folder / atomic_folder.MANIFEST)
  for name, expected in manifest.items():
    path = folder / name
    # The first condition keeps the check within the folder.
    if (
      pathlib.Path(name).name != name or not path.is_file() or regular_file.sha256(path) != expected
    ):
      raise UserError(
        f'export {str(folder)!r} is damaged: {name} is missing or altered; export it anew'
      )
  card = _read_object(folder / 'card.json')
  try:
    facts = card['export']
    file = folder / facts['file']
    if facts['file'] not in manifest:
      raise ValueError(f'its file is {facts["file"]!r}')
    if file.suffix not in _RUNTIMES:
      raise UserError(
        f'export {str(folder)!r} holds {facts["file"]}, which computes nothing by itself; measure '
        f'its bundle, or an export of {", ".join(_RUNTIMES)}'
      )
    if file.suffix == '.stablehlo':
      _check_program(file)
    module, accelerated = _RUNTIMES[file.suffix]
    return Candidate(
      file=file,
      name=f'{display_name(card)} {facts["format"]}',
      image_shape=tuple(card['dataset']['image_shape']),
      top1=facts['verification']['top1'],
      command=(f'{__package__}.{module}', str(file)),
      accelerated=accelerated,
      data=data_of(card),
    )
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(
      f'{str(folder)!r} is no export ({error!r}); name a folder that `pidkd export` wrote'
    ) from error


def _check_program(file: pathlib.Path) -> None:
  """Raise UserError for a program that may do more than compute: a folder may come from anyone."""
  try:
    exported_program.read(file.read_bytes(), file.name)
  except ValueError as error:
    raise UserError(f'export {str(file.parent)!r}: {error}; export it anew') from error


def _read_object(path: pathlib.Path) -> Mapping[str, Any]:
  try:
    return regular_file.read_object(path)
  except OSError as error:
    raise UserError(
      f'{str(path.parent)!r} is no export: {path.name} cannot be read ({error.strerror}); name a '
      'folder that `pidkd export` wrote'
    ) from error
  except ValueError as error:
    raise UserError(f'{str(path)!r} is damaged: {error}; export it anew') from error
