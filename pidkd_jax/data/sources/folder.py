"""The images of a user's folder in ImageNet's layout, listed before any is decoded."""

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from pidkd_jax.core.errors import UserError, first_line

logger = logging.getLogger(__name__)

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')
# The folders that may hold the test images, in the order of preference.
_TEST = ('test', 'val', 'validation')


@dataclasses.dataclass(frozen=True)
class Folder:
  """The images of a folder, as `scan` lists them.

  Attributes:
    root: the folder, its path without links.
    test: the name of the folder that holds the test split.
    images: {'train' or 'test': {class: paths of its images}}; classes and paths are sorted.
  """

  root: Path
  test: str
  images: Mapping[str, Mapping[str, list[Path]]]

  @property
  def class_names(self) -> list[str]:
    return list(self.images['train'])

  @property
  def paths(self) -> list[Path]:
    """The paths of all images; those of train come first."""
    return [path for split in self.images.values() for images in split.values() for path in images]

  def name(self, path: Path) -> str:
    """Return an image's path within the folder."""
    return path.relative_to(self.root).as_posix()

  def sha256(self) -> str:
    """Return the SHA-256 (hex) over all images' paths within the folder and their bytes.

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
  """List the images of a folder: train/CLASS/IMAGE and test (or val, validation)/CLASS/IMAGE.

  An image is a file with one of `SUFFIXES`, in either case. Other entries of a split or a class,
  such as hidden files, are skipped, and their number is logged.

  Args:
    root: the folder.

  Raises:
    UserError: the folder does not exist or has no train or no test. There are fewer than two
      classes, or test has a class that train lacks. A class has no images. A link leads out of the
      folder. A name cannot be stored.
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
  """The classes and images of a split's folder.

  Attributes:
    path: the folder.
    classes: {name: paths of its images}, both sorted.
    others: the number of entries that are neither.
  """

  def __init__(self, root: Path, path: Path):
    self.path, self._root, self.others = path, root, 0
    self.classes = {
      folder.name: self._images(folder) for folder in self._entries(path, Path.is_dir)
    }

  def _images(self, folder: Path) -> list[Path]:
    # TFDS stores the names as the stripped lines of a file.
    if folder.name.splitlines() != [folder.name.strip()]:
      raise UserError(f'the class {str(folder)!r} has blanks at the ends of its name; rename it')
    images = self._entries(folder, lambda path: path.suffix.lower() in SUFFIXES and path.is_file())
    if not images:
      raise UserError(
        f'{folder} has no images ({", ".join(SUFFIXES)}); remove it, or put some right into it'
      )
    return images

  def _entries(self, folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """Return the wanted entries of a folder, sorted by name, and count the others."""
    try:
      self._check(folder)
      entries = list(folder.iterdir())
      chosen = [path for path in entries if not path.name.startswith('.') and wanted(path)]
      for path in chosen:
        self._check(path)
    except (OSError, RuntimeError) as error:  # A loop of links raises either.
      raise _unreadable(folder, error) from error
    self.others += len(entries) - len(chosen)
    return sorted(chosen)

  def _check(self, path: Path) -> None:
    """Raise UserError for a link that leads out of the folder, or a name that is not one line."""
    if path.is_symlink() and not path.resolve(strict=True).is_relative_to(self._root):
      raise UserError(f'{path} is a link that leads out of {self._root}; put a copy in its place')
    try:
      path.name.encode()
    except UnicodeEncodeError:
      raise UserError(f'the name of {str(path)!a} is not UTF-8; rename it') from None
    if len(path.name.splitlines()) > 1:
      raise UserError(f'the name of {str(path)!r} has several lines; rename it')


def _unreadable(path: Path, error: Exception) -> UserError:
  return UserError(f'{path} cannot be read ({first_line(error)}); mend or remove it')
