"""Shards in the layout of WebDataset: tar files of images, each beside its label."""

import collections
import dataclasses
import functools
import io
import json
import logging
import os
import posixpath
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pidkd_jax.core import image_files
from pidkd_jax.core.errors import UserError, first_line, listed
from pidkd_jax.data.sources import archive
from pidkd_jax.data.sources.folder import TEST, TRAIN, Folder
from pidkd_jax.data.sources.labelled_files import arranged

logger = logging.getLogger(__name__)

_SUFFIX = '.tar'
_PACKED = ('.tar.gz', '.tgz', '.tar.bz2', '.tar.xz', '.tar.zst')
# Names of classes, one a line, beside the shards; labels are then line numbers from 0.
_NAMES = ('classnames.txt', 'classes.txt')
# The entries of a JSON file that may hold the label, in the order of preference.
_ENTRIES = ('cls', 'label', 'class', 'class_name', 'category', 'target')
_LABELS = ('cls', 'json')
_LONGEST_LABEL = 2**20


@functools.total_ordering
@dataclasses.dataclass(frozen=True)
class Member:
  """A file within a shard, which is read at its place.

  Attributes:
    shard: the tar file.
    name: its path within the shard.
    offset: of its first byte.
    size: in bytes.
  """

  shard: Path
  name: str
  offset: int
  size: int

  def open(self, mode: Literal['rb'], /) -> io.BytesIO:
    """Open the file as bytes in memory."""
    del mode
    return io.BytesIO(self.read_bytes())

  def read_bytes(self) -> bytes:
    """Return the file's content."""
    with self.shard.open('rb') as file:
      file.seek(self.offset)
      return file.read(self.size)

  def __fspath__(self) -> str:
    return f'{self.shard}/{self.name}'

  def __str__(self) -> str:
    return self.__fspath__()

  def __lt__(self, other: 'Member', /) -> bool:
    return (self.shard, self.offset) < (other.shard, other.offset)


def are_shards(path: Path) -> bool:
  """Whether a path is a tar file, or a folder of tar files and no folders of images (`read`)."""
  if os.path.isfile(path):
    return path.name.lower().endswith((_SUFFIX, *_PACKED))
  places = {shard.parent for shard in _listed(path, (_SUFFIX, *_PACKED))}
  return bool(places) and not any(entry.is_dir() for place in places for entry in _entries(place))


def read(path: Path) -> Folder:
  """Index the images of shards; no image is decoded.

  A shard holds files whose names are equal up to the first point: an image, and its label in a file
  `.cls` (a number or a name) or `.json` (an object with one of `_ENTRIES`). Shards lie in a folder,
  or in folders of it that are named as the splits. Else the name of a shard may tell its split, as
  in `photos-train-000.tar`. Without splits, and in a single shard, the images are split at random.

  Args:
    path: a shard, or the folder.

  Raises:
    UserError: a shard is damaged or packed, images have no label, or the shards make no data set.
  """
  path = path.resolve()
  root = path.parent if path.is_file() else path
  shards = [path] if path.is_file() else _listed(path, (_SUFFIX, *_PACKED))
  if packed := [shard for shard in shards if not shard.name.lower().endswith(_SUFFIX)]:
    raise UserError(f'{listed(packed)} cannot be read in place; unpack it to {_SUFFIX}')
  names = _class_names(root)
  rows, others = [], collections.Counter[str]()
  unlabelled = []
  for shard in shards:
    split = '' if shard == path else _split(shard, root)
    for image, label in _samples(shard, others):
      if label is None:
        unlabelled.append(image)
      else:
        rows.append((image, label, split))
  if unlabelled:
    raise UserError(
      f'{len(unlabelled):,} images have no label: {listed(unlabelled, most=5)}; put one beside'
      f' each, a .cls file, or a .json file with one of {", ".join(_ENTRIES)}'
    )
  if not rows:
    raise UserError(
      f'{path} holds no images ({", ".join(image_files.SUFFIXES)}); put some beside their labels'
    )
  if others:
    kinds = image_files.counted(others)
    logger.warning('%s: %d files passed over (%s)', path, others.total(), kinds)
  if names is not None:
    _check_numbers(path, {label for _, label, _ in rows}, names)
  return arranged(path, root, rows, names)


def _listed(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
  """Return the files with some suffixes in a folder and in its splits' folders, sorted."""
  if not os.path.isdir(folder):
    return []
  entries = _entries(folder)
  for split in [one for one in entries if one.name.lower() in (*TRAIN, *TEST) and one.is_dir()]:
    entries += _entries(split)
  return sorted(one for one in entries if one.name.lower().endswith(suffixes) and one.is_file())


def _entries(folder: Path) -> list[Path]:
  """Return what lies in a folder, without hidden and other systems' entries."""
  try:
    return [path for path in folder.iterdir() if not image_files.is_junk(path.name)]
  except OSError as error:
    raise UserError(f'{folder} cannot be read ({first_line(error)}); mend or remove it') from error


def _split(shard: Path, root: Path) -> str:
  """Return the split that a shard's folder or name tells, or ''."""
  words = re.findall('[a-z]+', shard.stem.lower())
  told = shard.parent.name.lower() if shard.parent != root else ''
  return told or next((word for word in words if word in (*TRAIN, *TEST)), '')


def _class_names(root: Path) -> dict[str, str] | None:
  """Return {number: name} of the classes, or None where no file names them."""
  for path in (root / name for name in _NAMES):
    if path.is_file():
      archive.check_size(root, path.name, path.stat().st_size, _LONGEST_LABEL)
      lines = archive.label_names(path, path.name, path.read_bytes())
      return {str(number): name for number, name in enumerate(lines)}
  return None


def _check_numbers(path: Path, labels: set[str], names: dict[str, str]) -> None:
  if strange := sorted(labels - names.keys()):
    raise UserError(
      f'{path}: the labels {listed(strange)} are no lines of the file of class names, which go from'
      f' 0 to {len(names) - 1}; mend either'
    )


def _samples(shard: Path, others: collections.Counter[str]) -> Iterator[tuple[Member, str | None]]:
  """Yield (image, its label or None) of a shard; count what is neither."""
  images, labels = dict[str, Member](), dict[str, dict[str, str]]()
  with archive.reading(shard), tarfile.open(shard, 'r:', tarinfo=archive.BoundedTarInfo) as tar:
    for info in tar:
      folder, _, base = posixpath.normpath(info.name).rpartition('/')
      stem, _, kind = base.partition('.')
      key, kind = f'{folder}/{stem}', kind.lower()
      if not info.isfile() or image_files.is_junk(base):
        if not info.isdir():
          others['no files'] += 1
      elif f'.{kind}' in image_files.SUFFIXES:
        if key in images:
          raise UserError(
            f'{shard} holds {images[key].name} and {info.name}; one image of a name is needed'
          )
        if not info.name.isprintable():
          raise archive.unusable(shard, f'the name {info.name!a} is no line of text')
        images[key] = Member(shard, info.name, info.offset_data, info.size)
      elif kind in _LABELS:
        archive.check_size(shard, info.name, info.size, _LONGEST_LABEL)
        content = tar.extractfile(info)
        assert content is not None
        label = _label(shard, info.name, kind, content.read())
        if label is not None:
          labels.setdefault(key, {})[kind] = label
      else:
        others[f'.{kind}' if kind else 'without a suffix'] += 1
    _check_end(shard, tar.offset)
  for key, image in images.items():
    found = labels.pop(key, {})
    yield image, next((found[kind] for kind in _LABELS if kind in found), None)
  if labels:
    others['labels without an image'] += len(labels)


def _label(shard: Path, name: str, kind: str, content: bytes) -> str | None:
  """Return the label that a file holds; None for a JSON object without one."""
  try:
    text = content.decode()
    value = json.loads(text) if kind == 'json' else text.strip()
  except (ValueError, RecursionError):
    raise archive.unusable(shard, f'{name} is no {"JSON" if kind == "json" else "text"}') from None
  if isinstance(value, dict):
    value = next((value[entry] for entry in _ENTRIES if entry in value), None)
    if value is None:
      return None
  if isinstance(value, bool) or not isinstance(value, int | str):
    raise archive.unusable(shard, f'the label in {name} is neither a number nor a name')
  label = str(value).strip()
  if not label or not label.isprintable():
    raise archive.unusable(shard, f'the label in {name} is no line of text')
  return label


def _check_end(shard: Path, offset: int) -> None:
  """Raise UserError where a damaged header ended the reading, which tarfile takes for the end."""
  with shard.open('rb') as file:
    file.seek(offset)
    if any(file.read(tarfile.BLOCKSIZE)):
      raise archive.unusable(shard, f'the header at byte {offset:,} is damaged')
