"""From a dataset's description to its prepared files: found, or made from its archive."""

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

from pidkd_jax.core.errors import UserError
from pidkd_jax.data.sources.source import Source
from pidkd_jax.data.tfds.download import check_reachable
from pidkd_jax.data.tfds.reason import reason

logger = logging.getLogger(__name__)

Builder = tfds.core.GeneratorBasedBuilder


def prepare(
  source: Source, directory: str, archive: str, verify: bool, image_size: int, in_memory: bool
) -> tuple[Builder, str]:
  """Opens the dataset if it is prepared; otherwise prepares it from its archive.

  The archive is the one given, else the one in TFDS's manual folder, else what an earlier run
  downloaded, else a download. TFDS checks its SHA-256 whichever way it came.

  Args:
    source: the dataset.
    directory: TFDS's data_dir.
    archive: path of the user's own archive, or of the folder of his images, or ''.
    verify: whether to refuse an archive that is not the official one.
    image_size: side that the user's own images are brought to, or 0.
    in_memory: whether all images have to fit into the machine's memory.

  Returns:
    The builder of the prepared dataset; one line that says where the data came from.

  Raises:
    UserError: if there is no usable archive, or no room for the files.
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
    return _make(source.builder, directory), source.origin
  path = _find(official, directory, archive)
  # Where others are not allowed, an archive that has been deleted since was the official one.
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
  """What `prepare` returns, from images of the user's own."""
  if not path:
    raise UserError('no folder of images was given; name it with --config.data.archive')
  folder = Path(os.path.expanduser(path)).absolute()
  builder = _make(source.bind(folder, image_size, in_memory), directory)
  return builder, f'{source.origin}: {builder.info.description}'


def _from_archive(source: Source, directory: str, path: Path, verify: bool) -> tuple[Builder, str]:
  """What `prepare` returns, from an archive at hand."""
  name = source.builder.name
  [(url, expected)] = source.builder.url_infos.items()
  try:
    found = compute_url_info(path)
  except OSError as error:
    raise UserError(f'archive {path} cannot be read: {reason(error)}') from error
  if found == expected:
    return _make(_bound(source.builder, name, path, found), directory, path), source.origin
  if verify:
    raise UserError(
      f'archive {path} is not the official one of {name}: its sha256 is {found.checksum[:8]}...,'
      f' not {expected.checksum[:8]}...; get {url} anew, or prepare it under a name of its own'
      ' with --config.data.verify=False'
    )
  own = own_name('unverified', path, found.checksum)
  origin = (
    f'{path.name} (sha256 {found.checksum[:8]}...), in the format of {name};'
    ' not the official archive'
  )
  return _make(_bound(source.builder, own, path, found), directory, path), origin


def _from_network(source: Source, directory: str, manual: Path) -> tuple[Builder, str]:
  """What `prepare` returns, from a download; `manual` is where the user can put the archive."""
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
    return _make(source.builder, directory), source.origin
  except (requests.RequestException, tfds.download.DownloadError) as error:
    raise UserError(f'the download of {name} failed ({type(error).__name__}); {remedy}') from error


def own_name(kind: str, path: Path, sha256: str) -> str:
  """What a dataset from a user's own archive or folder is called.

  The 'unverified' 'TIN100-20.tar.gz' becomes 'unverified_tin100_20_1a2b3c4d', the last part being
  the first eight digits of its SHA-256, so that two archives of one name are two datasets.
  """
  stem = re.sub(r'(\.(tar|t?gz|zip))+$', '', path.name.lower())
  slug = re.sub(r'[^a-z0-9]+', '_', stem)[:40].strip('_')
  return '_'.join(part for part in (kind, slug, sha256[:8]) if part)


def _find(builder: Builder, directory: str, archive: str) -> Path:
  """Where the archive is, or where the user can put it: TFDS's manual folder."""
  if archive:
    return Path(archive).expanduser().absolute()
  [(url, expected)] = builder.url_infos.items()
  downloads = Path(directory, 'downloads').absolute()
  # What an earlier run downloaded; TFDS names it by URL and checksum.
  earlier = downloads / builder.name / resource.get_dl_fname(url, expected.checksum)
  manual = downloads / 'manual' / expected.filename
  return earlier if earlier.is_file() and not manual.is_file() else manual


def _bound(builder: type[Builder], dataset_name: str, path: Path, info: UrlInfo) -> type[Builder]:
  """The builder under the given name, taking this archive and no other.

  TFDS looks for a download's file name in the manual folder before it downloads, and checks its
  sum; so the archive's own folder serves as the manual one.
  """

  class Bound(builder, skip_registration=True):
    name = dataset_name
    url_infos = {path.as_uri(): info}

  return Bound


def _make(builder: type[Builder], directory: str, archive: Path | None = None) -> Builder:
  """Opens the builder's dataset, prepared first where it is not."""
  opened = _open(builder, directory)
  if opened.data_path.exists():
    return opened
  logger.info('preparing %s in %s', opened.name, opened.data_dir)
  try:
    with _quiet(), _without_trace(opened, Path(directory)):
      opened.download_and_prepare(
        file_format='array_record',
        download_config=tfds.download.DownloadConfig(
          manual_dir=archive.parent if archive else None,
          # TFDS's bucket: reading it needs TensorFlow.
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
    raise  # An OSError too, but not one of the disk.
  # array_record reports a full disk as RuntimeError, everything else reports it as OSError.
  except (OSError, RuntimeError) as error:
    # If it is there all the same, another process was faster; what it made is as good.
    if not opened.data_path.exists():
      raise UserError(
        f'{opened.name} cannot be prepared in {directory}: {reason(error)}; make room there, or'
        ' choose another folder with --config.data.dir'
      ) from error
  # Anew: the names of the classes and the counts are read when a builder opens.
  return _open(builder, directory)


@contextlib.contextmanager
def _without_trace(opened: Builder, directory: Path) -> Iterator[None]:
  """Removes the empty folders that TFDS makes in advance, where nothing comes of it."""
  downloads = directory / 'downloads'
  folders = (Path(opened.data_dir).parent, downloads / 'extracted', downloads, directory)
  new = [folder for folder in (*folders, *directory.parents) if not folder.exists()]
  try:
    yield
  except BaseException:
    for folder in new:
      with contextlib.suppress(OSError):  # Not empty: something came of it.
        folder.rmdir()
    raise


def _open(builder: type[Builder], directory: str) -> Builder:
  """The builder, with what is known of its prepared files if there are any."""
  try:
    with _quiet():
      opened = builder(data_dir=directory)
    if opened.data_path.exists() and not (
      opened.info.splits and opened.info.features['label'].num_classes
    ):
      raise ValueError('its splits or the names of its classes are missing')
  # TFDS asserts that the version matches; a damaged JSON file is a ParseError.
  except (OSError, ValueError, AssertionError, ParseError) as error:
    folder = Path(directory, builder.name, str(builder.VERSION))
    raise UserError(
      f'{folder} holds no whole prepared dataset ({reason(error)}); delete that folder and run'
      ' again'
    ) from error
  return opened


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps TFDS's progress bars off files, its prints and its notes off the screen."""
  verbosity = absl_logging.get_verbosity()
  absl_logging.set_verbosity(min(verbosity, absl_logging.WARNING))
  tfds.display_progress_bar(sys.stderr.isatty())
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    absl_logging.set_verbosity(verbosity)
