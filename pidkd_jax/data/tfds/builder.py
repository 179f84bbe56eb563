"""TFDS's builders: open one, prepare its dataset, bind it to an archive."""

import contextlib
import io
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import requests
import tensorflow_datasets as tfds
from absl import logging as absl_logging
from google.protobuf.json_format import ParseError
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

from pidkd_jax.core import extras
from pidkd_jax.core.errors import UserError, first_line
from pidkd_jax.core.watched import is_watched

logger = logging.getLogger(__name__)

Builder = tfds.core.GeneratorBasedBuilder


def features(builder: tfds.core.DatasetBuilder) -> Any:
  """Return the features of a dataset by name; TFDS's own type allows any tree of them."""
  return builder.info.features


def _names_classes(builder: Builder) -> bool:
  """Return whether the label has classes; that of another form is for `own_dataset` to refuse."""
  found = features(builder)
  label = dict(found.items()).get('label') if hasattr(found, 'items') else None
  return getattr(label, 'num_classes', True)


def official_archive(builder: Builder | type[Builder]) -> tuple[str, UrlInfo]:
  """Return the URL of a builder's official archive, with its size and SHA-256."""
  [(url, info)] = cast(dict[str, UrlInfo], builder.url_infos).items()
  return url, info


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


def bind_archive(
  builder: type[Builder], dataset_name: str, path: Path, info: UrlInfo
) -> type[Builder]:
  """Return the builder under another name, bound to one archive.

  Before a download, TFDS looks for the file in its manual folder and checks the checksum. So the
  archive's own folder serves as the manual folder.

  Args:
    builder: the builder of the archive's format.
    dataset_name: the name of the dataset.
    path: the archive.
    info: the archive's size and SHA-256.
  """

  class Bound(builder, skip_registration=True):
    name = dataset_name
    url_infos = {path.as_uri(): info}

  return Bound


def open_builder(builder: type[Builder], directory: str) -> Builder:
  """Open a builder, with the info of its prepared files if there are any.

  Raises:
    UserError: the info is damaged.
  """
  try:
    with _quiet():
      opened = builder(data_dir=directory)
    if opened.data_path.exists() and not (opened.info.splits and _names_classes(opened)):
      raise ValueError('its splits or the names of its classes are missing')
  # TFDS asserts that the version matches. A damaged JSON file is a ParseError.
  except (OSError, ValueError, AssertionError, ParseError) as error:
    folder = Path(directory, builder.name, str(builder.VERSION))
    raise UserError(
      f'{folder} holds no whole prepared dataset ({first_line(error)}); delete that folder and'
      ' run again'
    ) from error
  return opened


def open_or_prepare(builder: type[Builder], directory: str, archive: Path | None = None) -> Builder:
  """Open the builder's dataset; prepare it first if needed.

  Args:
    builder: the dataset.
    directory: TFDS's data_dir.
    archive: the archive that the builder is bound to; None to download it, or if there is none.

  Raises:
    UserError: the archive has another SHA-256, the disk is full, prepared files are damaged, or a
      package is missing.
    requests.RequestException, tfds.download.DownloadError: the download failed.
  """
  opened = open_builder(builder, directory)
  if opened.data_path.exists():
    return opened
  # Checked here: TFDS imports it late, and its own error does not name the module.
  extras.require(f'preparing {opened.name}', 'array_record')
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
      ' `archive`'
    ) from error
  except requests.RequestException:
    raise  # It is an OSError too, but not of the disk.
  # array_record reports a full disk as RuntimeError; everything else reports it as OSError.
  except (OSError, RuntimeError) as error:
    # If it exists now, another process prepared the same dataset first.
    if not opened.data_path.exists():
      raise UserError(
        f'{opened.name} cannot be prepared in {directory}: {first_line(error)}; make room there, or'
        ' choose another folder with `directory`'
      ) from error
  # A builder reads the class names and the counts when it opens.
  return open_builder(builder, directory)


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


# Of `_quiet`: how many threads are in it, and what the last one undoes.
_QUIET_LOCK = threading.Lock()
_quiet_threads = 0
_loud = contextlib.ExitStack()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Silence TFDS: no progress bars unless somebody watches, no prints, no absl notes.

  All of these belong to the process, so several threads share one silence.
  """
  global _quiet_threads
  with _QUIET_LOCK:
    _quiet_threads += 1
    if _quiet_threads == 1:
      verbosity = absl_logging.get_verbosity()
      absl_logging.set_verbosity(min(verbosity, absl_logging.WARNING))
      _loud.callback(absl_logging.set_verbosity, verbosity)
      tfds.display_progress_bar(is_watched())
      _loud.enter_context(contextlib.redirect_stdout(io.StringIO()))
  try:
    yield
  finally:
    with _QUIET_LOCK:
      _quiet_threads -= 1
      if not _quiet_threads:
        _loud.close()
