"""The images of a user's folder in ImageNet's layout, listed before any is decoded."""

import collections
import dataclasses
import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from pidkd_jax.core import image_files
from pidkd_jax.core.errors import UserError, first_line, listed
from pidkd_jax.core.image_files import SUFFIXES

logger = logging.getLogger(__name__)

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

  The first of the three folders that has a class of train is the test split. An image is a file
  with one of `SUFFIXES`, in either case. Other entries of a split or a class, such as hidden files,
  are skipped. Links are followed. Both are counted, by kind, in the log.

  Args:
    root: the folder.

  Raises:
    UserError: the folder does not exist or has no train or no test. There are fewer than two
      classes, or test has a class that train lacks. Classes of train have no images. A folder
      cannot be read, or a name cannot be stored.
  """
  layout = f'{root}/train/CLASS/IMAGE and {root}/test/CLASS/IMAGE'
  if not root.exists():
    raise UserError(f'there is no folder {root}; correct --config.data.archive')
  if not root.is_dir():
    raise UserError(f'{root} is a file; --config.data.archive needs a folder with {layout}')
  tests = [name for name in _TEST if (root / name).is_dir()]
  if not (root / 'train').is_dir():
    raise UserError(f'{root} has no folder train; {layout} are needed')
  if not tests:
    raise UserError(f'{root} has no folder {", ".join(_TEST[:-1])} or {_TEST[-1]}; make one')
  root = root.resolve()
  listing = _Listing(root)
  train = listing.classes(root / 'train')
  test = next((name for name in tests if _names(root / name) & train.keys()), tests[0])
  if test != tests[0]:
    logger.warning(
      '%s holds no class of train; the test images are those of %s', root / tests[0], root / test
    )
  listing.require_images()
  splits = {'train': train, 'test': listing.classes(root / test)}
  without = [name for name, images in splits['test'].items() if not images]
  for name in without:
    logger.warning('%s has no images; nothing is tested on this class', root / test / name)
    del splits['test'][name]
  for name, least in ('train', '2 are'), ('test', '1 is'):
    if len(splits[name]) < int(least[0]):
      raise UserError(
        f'class folders in {root / (test if name == "test" else name)}: {len(splits[name])}; at'
        f' least {least} needed, in the layout {layout}'
      )
  for name in splits['test']:
    if name not in train:
      raise UserError(
        f'{root / test / name} is a class that {root / "train"} has not; remove it, or add it there'
      )
  listing.report()
  return Folder(root, test, splits)


def _names(folder: Path) -> set[str]:
  """Return the names of the folders in a folder."""
  try:
    return {path.name for path in folder.iterdir() if path.is_dir()}
  except OSError as error:
    raise _unreadable(folder, error) from error


class _Listing:
  """Lists the splits of a folder, and counts what it passes over and which links it follows."""

  def __init__(self, root: Path):
    self._root = root
    self._others = collections.Counter[str]()
    self._links, self._empty = dict[Path, Path](), list[Path]()

  def classes(self, split: Path) -> dict[str, list[Path]]:
    """Return {name: paths of its images} of a split's folder, both sorted."""
    return {folder.name: self._images(folder) for folder in self._entries(split, Path.is_dir)}

  def require_images(self) -> None:
    """Raise UserError where classes have no images."""
    if self._empty:
      raise UserError(
        f'{listed(self._empty)} {"has" if len(self._empty) == 1 else "have"} no images'
        f' ({", ".join(SUFFIXES)}); remove it, or put some right into it'
      )

  def report(self) -> None:
    """Log what was passed over and followed."""
    if self._others:
      kinds = ', '.join(f'{kind}: {count}' for kind, count in sorted(self._others.items()))
      logger.warning(
        '%s: %d entries passed over that are no images by their suffix (%s)',
        self._root,
        self._others.total(),
        kinds,
      )
    if self._links:
      logger.warning(
        '%s: %d links followed out of it, such as %s to %s',
        self._root,
        len(self._links),
        *next(iter(self._links.items())),
      )

  def _images(self, folder: Path) -> list[Path]:
    # TFDS stores the names as the stripped lines of a file.
    if folder.name.splitlines() != [folder.name.strip()]:
      raise UserError(f'the class {str(folder)!r} has blanks at the ends of its name; rename it')
    images = self._entries(folder, lambda path: path.suffix.lower() in SUFFIXES and path.is_file())
    if not images:
      self._empty.append(folder)
    return images

  def _entries(self, folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """Return the wanted entries of a folder, sorted by name, and count the others."""
    chosen = []
    try:
      self._check(folder)
      for path in folder.iterdir():
        if not image_files.is_junk(path.name) and wanted(path):
          self._check(path)
          chosen.append(path)
        else:
          self._others[image_files.kind(path)] += 1
    except (OSError, RuntimeError) as error:  # A loop of links raises either.
      raise _unreadable(folder, error) from error
    return sorted(chosen)

  def _check(self, path: Path) -> None:
    """Count a link that leads out; raise UserError for a name that is not one line."""
    if path.is_symlink() and not (target := path.resolve(strict=True)).is_relative_to(self._root):
      self._links[path] = target
    try:
      path.name.encode()
    except UnicodeEncodeError:
      raise UserError(f'the name of {str(path)!a} is not UTF-8; rename it') from None
    if len(path.name.splitlines()) > 1:
      raise UserError(f'the name of {str(path)!r} has several lines; rename it')


def _unreadable(path: Path, error: Exception) -> UserError:
  return UserError(f'{path} cannot be read ({first_line(error)}); mend or remove it')
