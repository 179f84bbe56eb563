"""A user's folder of images in ImageNet's layout: which images it has, before any is decoded."""

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from pidkd_jax.core.errors import UserError
from pidkd_jax.data.tfds.reason import reason

logger = logging.getLogger(__name__)

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')
# What may hold the test images; the first that is there does.
_TEST = ('test', 'val', 'validation')


@dataclasses.dataclass(frozen=True)
class Folder:
  """What `scan` found.

  Attributes:
    root: the folder, with no link left in its path.
    test: which of its folders is the test split.
    images: {'train' or 'test': {class: its images, sorted}}, the classes sorted.
  """

  root: Path
  test: str
  images: Mapping[str, Mapping[str, list[Path]]]

  @property
  def class_names(self) -> list[str]:
    return list(self.images['train'])

  @property
  def paths(self) -> list[Path]:
    """Every image, those of train first."""
    return [path for split in self.images.values() for images in split.values() for path in images]

  def name(self, path: Path) -> str:
    """An image's path within the folder."""
    return path.relative_to(self.root).as_posix()

  def sha256(self) -> str:
    """SHA-256 (hex) over every image's path within the folder and its bytes.

    Raises:
      UserError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in self.paths:
      try:
        with path.open('rb') as file:
          content = hashlib.file_digest(file, 'sha256').hexdigest()
      except OSError as error:
        raise _unreadable(path, error) from error
      digest.update(f'{self.name(path)}\n{content}\n'.encode())
    return digest.hexdigest()


def scan(root: Path) -> Folder:
  """Finds the images of a folder: train/CLASS/IMAGE, and test (or val, or validation)/CLASS/IMAGE.

  An image is a file with one of `SUFFIXES`, in capitals or not. Whatever else lies in a split or a
  class, hidden files among it, is passed over and its count logged.

  Args:
    root: the folder.

  Raises:
    UserError: it is no such folder, has no train or no test, fewer than two classes, a class
      without images, one in test that train lacks, a link that leads out of it, or a name that
      cannot be kept.
  """
  layout = f'{root}/train/CLASS/IMAGE and {root}/test/CLASS/IMAGE'
  if not root.exists():
    raise UserError(f'there is no folder {root}; correct --config.data.archive')
  if not root.is_dir():
    raise UserError(f'{root} is a file; --config.data.archive needs a folder with {layout}')
  test = next((name for name in _TEST if (root / name).is_dir()), None)
  if not (root / 'train').is_dir():
    raise UserError(f'{root} has no folder train; {layout} are needed')
  if test is None:
    raise UserError(f'{root} has no folder {", ".join(_TEST[:-1])} or {_TEST[-1]}; make one')
  root = root.resolve()
  train, test = (_Split(root, root / name) for name in ('train', test))
  for split, least in (train, '2 are'), (test, '1 is'):
    if len(split.classes) < int(least[0]):
      raise UserError(
        f'class folders in {split.path}: {len(split.classes)}; at least {least} needed, in the'
        f' layout {layout}'
      )
  for name in test.classes:
    if name not in train.classes:
      raise UserError(
        f'{test.path / name} is a class that {train.path} has not; remove it, or add it there'
      )
  if others := train.others + test.others:
    logger.info('%s: %d entries passed over that are no images by their suffix', root, others)
  return Folder(root, test.path.name, {'train': train.classes, 'test': test.classes})


class _Split:
  """A split's folder as it was read.

  Attributes:
    path: the folder.
    classes: {name: its images}, both sorted.
    others: how many entries are neither.
  """

  def __init__(self, root: Path, path: Path):
    self.path, self._root, self.others = path, root, 0
    self.classes = {
      folder.name: self._images(folder) for folder in self._entries(path, Path.is_dir)
    }

  def _images(self, folder: Path) -> list[Path]:
    # TFDS keeps the names as the stripped lines of a file.
    if folder.name.splitlines() != [folder.name.strip()]:
      raise UserError(f'the class {str(folder)!r} has blanks at the ends of its name; rename it')
    images = self._entries(folder, lambda path: path.suffix.lower() in SUFFIXES and path.is_file())
    if not images:
      raise UserError(
        f'{folder} has no images ({", ".join(SUFFIXES)}); remove it, or put some right into it'
      )
    return images

  def _entries(self, folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """The entries of a folder that are wanted, sorted by name; counts the others."""
    try:
      self._check(folder)
      entries = list(folder.iterdir())
      found = [path for path in entries if not path.name.startswith('.') and wanted(path)]
      for path in found:
        self._check(path)
    except (OSError, RuntimeError) as error:  # A loop of links is the one or the other.
      raise _unreadable(folder, error) from error
    self.others += len(entries) - len(found)
    return sorted(found)

  def _check(self, path: Path) -> None:
    """Refuses a link that leads out of the folder, and a name that is no line of text."""
    if path.is_symlink() and not path.resolve(strict=True).is_relative_to(self._root):
      raise UserError(f'{path} is a link that leads out of {self._root}; put a copy in its place')
    try:
      path.name.encode()
    except UnicodeEncodeError:
      raise UserError(f'the name of {str(path)!a} is not UTF-8; rename it') from None
    if len(path.name.splitlines()) > 1:
      raise UserError(f'the name of {str(path)!r} has several lines; rename it')


def _unreadable(path: Path, error: Exception) -> UserError:
  return UserError(f'{path} cannot be read ({reason(error)}); mend or remove it')
