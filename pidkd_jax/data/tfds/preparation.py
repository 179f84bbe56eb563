"""Open the prepared files of a dataset, or prepare them from its archive."""

import contextlib
import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests
import tensorflow_datasets as tfds
from absl import logging as absl_logging
from google.protobuf.json_format import ParseError
from tensorflow_datasets.core.download import resource
from tensorflow_datasets.core.download.checksums import UrlInfo, compute_url_info
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

from pidkd_jax.core.errors import UserError, first_line
from pidkd_jax.data.sources.source import Source
from pidkd_jax.data.tfds.download import check_reachable

logger = logging.getLogger(__name__)

Builder = tfds.core.GeneratorBasedBuilder


def prepare(
  source: Source, directory: str, archive: str, verify: bool, image_size: int, in_memory: bool
) -> tuple[Builder, str]:
  """Open a dataset; prepare it from its archive first if needed.

  The archive is the first that exists: the given one, the one in TFDS's manual folder, the download
  of an earlier run, a new download. TFDS checks its SHA-256 in every case.

  Args:
    source: the dataset.
    directory: TFDS's data_dir.
    archive: path of the user's own archive or folder of images, or ''.
    verify: whether to refuse an archive that is not the official one.
    image_size: the side to which the user's own images are resized, or 0.
    in_memory: whether all images have to fit into the machine's memory.

  Returns:
    The builder of the prepared dataset; one line that says where the data came from.

  Raises:
    UserError: there is no usable archive, or no room for the files.
  """
  if source.bind:
    return _from_folder(source, directory, archive, image_size, in_memory)
  official = _open(source.builder, directory)
  is_prepared = official.data_path.exists()
  height, width, _ = official.info.features['image'].shape
  if image_size and image_size != height:
    raise UserError(
      f'the images of {official.name} are {width}x{height}; leave'
      f' --config.data.image_size={image_size} out'
    )
  if not official.url_infos:
    if archive:
      raise UserError(
        f'{official.name} needs no archive; leave --config.data.archive={archive} out'
      )
    return _open_or_prepare(source.builder, directory), source.origin
  path = _archive_path(official, directory, archive)
  # With `verify`, an archive that has been deleted since must have been the official one.
  if is_prepared and (not archive or (verify and not path.is_file())):
    return official, source.origin
  if path.is_file():
    return _from_archive(source, directory, path, verify)
  if archive:
    raise UserError(f'there is no archive {path}; correct --config.data.archive or leave it out')
  return _from_network(source, directory, path)


def _from_folder(
  source: Source, directory: str, path: str, image_size: int, in_memory: bool
) -> tuple[Builder, str]:
  """Prepare images of the user's own; return what `prepare` returns."""
  if not path:
    raise UserError('no folder of images was given; name it with --config.data.archive')
  folder = Path(os.path.expanduser(path)).absolute()
  builder = _open_or_prepare(source.bind(folder, image_size, in_memory), directory)
  return builder, f'{source.origin}: {builder.info.description}'


def _from_archive(source: Source, directory: str, path: Path, verify: bool) -> tuple[Builder, str]:
  """Prepare an archive on disk; return what `prepare` returns."""
  name = source.builder.name
  [(url, expected)] = source.builder.url_infos.items()
  try:
    actual = compute_url_info(path)
  except OSError as error:
    raise UserError(f'archive {path} cannot be read: {first_line(error)}') from error
  if actual == expected:
    builder = _bound(source.builder, name, path, actual)
    return _open_or_prepare(builder, directory, path), source.origin
  if verify:
    raise UserError(
      f'archive {path} is not the official one of {name}: its sha256 is {actual.checksum[:8]}...,'
      f' not {expected.checksum[:8]}...; get {url} anew, or prepare it under a name of its own'
      ' with --config.data.verify=False'
    )
  builder = _bound(source.builder, own_name('unverified', path, actual.checksum), path, actual)
  origin = (
    f'{path.name} (sha256 {actual.checksum[:8]}...), in the format of {name};'
    ' not the official archive'
  )
  return _open_or_prepare(builder, directory, path), origin


def _from_network(source: Source, directory: str, manual: Path) -> tuple[Builder, str]:
  """Download and prepare a dataset; return what `prepare` returns.

  Args:
    source: the dataset.
    directory: TFDS's data_dir.
    manual: where the user can put the archive instead, for messages.
  """
  name = source.builder.name
  [url] = source.builder.url_infos
  remedy = (
    f'get {url} elsewhere and put it into {manual.parent} as {manual.name}, or say where it is'
    ' with --config.data.archive'
  )
  try:
    check_reachable(url)
  except OSError as error:
    raise UserError(
      f'{name} is not prepared in {directory}, and {urlsplit(url).hostname} cannot be reached'
      f' ({type(error).__name__}); {remedy}'
    ) from error
  try:
    return _open_or_prepare(source.builder, directory), source.origin
  except (requests.RequestException, tfds.download.DownloadError) as error:
    raise UserError(f'the download of {name} failed ({type(error).__name__}); {remedy}') from error


def own_name(kind: str, path: Path, sha256: str) -> str:
  """Return the name of a dataset from a user's own archive or folder.

  It ends in the first eight digits of the SHA-256, so two archives with one name are two datasets.

  Example:
    >>> own_name('unverified', Path('TIN100-20.tar.gz'), '1a2b3c4d5e6f')
    'unverified_tin100_20_1a2b3c4d'
  """
  stem = re.sub(r'(\.(tar|t?gz|zip))+$', '', path.name.lower())
  slug = re.sub(r'[^a-z0-9]+', '_', stem)[:40].strip('_')
  return '_'.join(part for part in (kind, slug, sha256[:8]) if part)


def _archive_path(builder: Builder, directory: str, archive: str) -> Path:
  """Return where the archive is, or where the user can put it: TFDS's manual folder."""
  if archive:
    return Path(archive).expanduser().absolute()
  [(url, expected)] = builder.url_infos.items()
  downloads = Path(directory, 'downloads').absolute()
  # The download of an earlier run, which TFDS names by URL and checksum.
  earlier = downloads / builder.name / resource.get_dl_fname(url, expected.checksum)
  manual = downloads / 'manual' / expected.filename
  return earlier if earlier.is_file() and not manual.is_file() else manual


def _bound(builder: type[Builder], dataset_name: str, path: Path, info: UrlInfo) -> type[Builder]:
  """Return the builder under the given name, bound to one archive.

  Before a download, TFDS looks for the file in its manual folder and checks the checksum. So the
  archive's own folder serves as the manual folder.
  """

  class Bound(builder, skip_registration=True):
    name = dataset_name
    url_infos = {path.as_uri(): info}

  return Bound


def _open_or_prepare(
  builder: type[Builder], directory: str, archive: Path | None = None
) -> Builder:
  """Open the builder's dataset; prepare it first if needed."""
  opened = _open(builder, directory)
  if opened.data_path.exists():
    return opened
  logger.info('preparing %s in %s', opened.name, opened.data_dir)
  try:
    with _quiet(), _removing_empty_folders(opened, Path(directory)):
      opened.download_and_prepare(
        file_format='array_record',
        download_config=tfds.download.DownloadConfig(
          manual_dir=archive.parent if archive else None,
          # Reading TFDS's bucket needs TensorFlow.
          try_download_gcs=False,
        ),
      )
  except NonMatchingChecksumError as error:
    raise UserError(
      f'what was read as the archive of {opened.name} has another sha256 than expected: the'
      ' download or the file was changed on the way; run again, or give a good one with'
      ' --config.data.archive'
    ) from error
  except requests.RequestException:
    raise  # It is an OSError too, but not of the disk.
  # array_record reports a full disk as RuntimeError; everything else reports it as OSError.
  except (OSError, RuntimeError) as error:
    # If it exists now, another process prepared the same dataset first.
    if not opened.data_path.exists():
      raise UserError(
        f'{opened.name} cannot be prepared in {directory}: {first_line(error)}; make room there, or'
        ' choose another folder with --config.data.dir'
      ) from error
  # A builder reads the class names and the counts when it opens.
  return _open(builder, directory)


@contextlib.contextmanager
def _removing_empty_folders(opened: Builder, directory: Path) -> Iterator[None]:
  """Remove the empty folders that TFDS makes in advance if the preparation fails."""
  downloads = directory / 'downloads'
  folders = (Path(opened.data_dir).parent, downloads / 'extracted', downloads, directory)
  new = [folder for folder in (*folders, *directory.parents) if not folder.exists()]
  try:
    yield
  except BaseException:
    for folder in new:
      with contextlib.suppress(OSError):  # The folder is not empty.
        folder.rmdir()
    raise


def _open(builder: type[Builder], directory: str) -> Builder:
  """Open a builder, with the info of its prepared files if there are any.

  Raises:
    UserError: the info is damaged.
  """
  try:
    with _quiet():
      opened = builder(data_dir=directory)
    if opened.data_path.exists() and not (
      opened.info.splits and opened.info.features['label'].num_classes
    ):
      raise ValueError('its splits or the names of its classes are missing')
  # TFDS asserts that the version matches. A damaged JSON file is a ParseError.
  except (OSError, ValueError, AssertionError, ParseError) as error:
    folder = Path(directory, builder.name, str(builder.VERSION))
    raise UserError(
      f'{folder} holds no whole prepared dataset ({first_line(error)}); delete that folder and'
      ' run again'
    ) from error
  return opened


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Silence TFDS: no progress bars unless stderr is a terminal, no prints, no absl notes."""
  verbosity = absl_logging.get_verbosity()
  absl_logging.set_verbosity(min(verbosity, absl_logging.WARNING))
  tfds.display_progress_bar(sys.stderr.isatty())
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    absl_logging.set_verbosity(verbosity)
