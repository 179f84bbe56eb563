"""Open the prepared files of a dataset, or prepare them from its archive."""

import os
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from tensorflow_datasets.core.download import resource
from tensorflow_datasets.core.download.checksums import compute_url_info

from pidkd_jax.core.errors import UserError, first_line
from pidkd_jax.data.sources.source import Source
from pidkd_jax.data.tfds.builder import (
  Builder,
  bind_archive,
  official_archive,
  open_builder,
  open_or_prepare,
  own_name,
)
from pidkd_jax.data.tfds.download import BrokenOffError, check_reachable, fetch


def prepare(
  source: Source, directory: str, archive: str, verify: bool, side: int, in_memory: bool
) -> tuple[Builder, str]:
  """Open a dataset; prepare it from its archive first if needed.

  The archive is the first that exists: the given one, the one in TFDS's manual folder, the download
  of an earlier run, a new download. TFDS checks its SHA-256 in every case.

  Args:
    source: the dataset.
    directory: TFDS's data_dir.
    archive: path of the user's own archive or folder of images, or ''.
    verify: whether to refuse an archive that is not the official one.
    side: that the user's own images are stored with, or 0 for their own size.
    in_memory: whether all images have to fit into the machine's memory.

  Returns:
    The builder of the prepared dataset; one line that says where the data came from.

  Raises:
    UserError: there is no usable archive, or no room for the files.
  """
  if source.bind:
    if not archive:
      raise UserError('no folder of images was given; name it with `archive`')
    folder = Path(os.path.expanduser(archive)).absolute()
    builder = open_or_prepare(source.bind(folder, side, in_memory), directory)
    return builder, f'{source.origin}: {builder.info.description}'
  official = open_builder(source.builder, directory)
  is_prepared = official.data_path.exists()
  if not official.url_infos:
    if archive:
      raise UserError(f'{official.name} needs no archive; leave `archive={archive}` out')
    return open_or_prepare(source.builder, directory), source.origin
  path = _archive_path(source, directory, archive)
  # With `verify`, an archive that has been deleted since must have been the official one.
  if is_prepared and (not archive or (verify and not path.is_file())):
    return official, source.origin
  if path.is_file():
    return _from_archive(source, directory, path, verify)
  if archive:
    raise UserError(f'there is no archive {path}; correct `archive` or leave it out')
  return _from_network(source, directory, path)


def _from_archive(source: Source, directory: str, path: Path, verify: bool) -> tuple[Builder, str]:
  """Prepare an archive on disk; return what `prepare` returns."""
  name = source.builder.name
  url, expected = official_archive(source.builder)
  try:
    actual = compute_url_info(path)
  except OSError as error:
    raise UserError(f'archive {path} cannot be read: {first_line(error)}') from error
  if actual in (expected, *source.also):
    builder = bind_archive(source.builder, name, path, actual)
    return open_or_prepare(builder, directory, path), source.origin
  if verify:
    raise UserError(
      f'archive {path} is not the official one of {name}: its sha256 is {actual.checksum[:8]}...,'
      f' not {expected.checksum[:8]}...; get {url} anew, or prepare it under a name of its own'
      ' with `verify=False`'
    )
  kind = f'unverified_{name}' if source.derived else 'unverified'
  builder = bind_archive(source.builder, own_name(kind, path, actual.checksum), path, actual)
  origin = (
    f'{path.name} (sha256 {actual.checksum[:8]}...), in the format of {name};'
    ' not the official archive'
  )
  return open_or_prepare(builder, directory, path), origin


def _from_network(source: Source, directory: str, manual: Path) -> tuple[Builder, str]:
  """Download and prepare a dataset; return what `prepare` returns.

  Args:
    source: the dataset.
    directory: TFDS's data_dir.
    manual: where the user can put the archive instead, for messages.
  """
  name = source.builder.name
  url, expected = official_archive(source.builder)
  remedy = (
    f'get {url} elsewhere and put it into {manual.parent} as {manual.name}, or say where it is'
    ' with `archive`'
  )
  try:
    check_reachable(url)
  except OSError as error:
    raise UserError(
      f'{name} is not prepared in {directory}, and {urlsplit(url).hostname} cannot be reached'
      f' ({type(error).__name__}); {remedy}'
    ) from error
  path = manual.parents[1] / resource.get_dl_fname(url, expected.checksum)
  try:
    fetch(url, expected, path)
    if compute_url_info(path) != expected:
      path.unlink()
      raise UserError(
        f'what came from {url} as the archive of {name} has another sha256 than expected; run'
        f' again, or {remedy}'
      )
  except BrokenOffError as error:
    raise UserError(
      f'the download of {name} broke off ({error}); the same call goes on after the'
      f' {error.kept:,} bytes that are there, or {remedy}'
    ) from error
  except OSError as error:
    raise UserError(
      f'{name} cannot be downloaded to {path.parent}: {first_line(error)}; make room there, or'
      ' choose another folder with `directory`'
    ) from error
  return _from_archive(source, directory, path, verify=True)


def _archive_path(source: Source, directory: str, archive: str) -> Path:
  """Return where the archive is, or where the user can put it: TFDS's manual folder."""
  if archive:
    return Path(os.path.expanduser(archive)).absolute()
  url, expected = official_archive(source.builder)
  downloads = Path(directory, 'downloads').absolute()
  # An earlier download, named by URL and checksum. TFDS has a folder for each dataset; several
  # have the same archive.
  kept = resource.get_dl_fname(url, expected.checksum)
  manual = [downloads / 'manual' / cast(str, info.filename) for info in (expected, *source.also)]
  known = (*manual, downloads / kept, *sorted(downloads.glob(f'*/{kept}')))
  return next((path for path in known if path.is_file()), manual[0])
