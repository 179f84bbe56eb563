"""The images of a user's folder, listed before any is decoded."""

import collections
import dataclasses
import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pidkd_jax.core import image_files
from pidkd_jax.core.errors import UserError, first_line, listed
from pidkd_jax.core.image import File
from pidkd_jax.core.image_files import SUFFIXES
from pidkd_jax.data.sources import partition

logger = logging.getLogger(__name__)

# The names that a split may have, in small letters and in the order of preference.
TRAIN = ('train', 'training')
TEST = ('test', 'testing', 'val', 'valid', 'validation')


@dataclasses.dataclass(frozen=True)
class Folder:
  """The images of a folder, as `scan` lists them.

  Attributes:
    root: the folder, its path without links.
    origin: says in some words where the splits come from, e.g. 'train and test'.
    images: {'train' or 'test': {class: paths of its images}}; classes are in the order of labels.
    told: whether an image's path tells its split and its class.
  """

  root: Path
  origin: str
  images: Mapping[str, Mapping[str, Sequence[File]]]
  told: bool = True

  @property
  def class_names(self) -> list[str]:
    return list(self.images['train'])

  @property
  def paths(self) -> list[File]:
    """The paths of all images; those of train come first."""
    return [path for split in self.images.values() for images in split.values() for path in images]

  def name(self, path: File) -> str:
    """Return an image's path within the folder."""
    return Path(os.path.relpath(path, self.root)).as_posix()

  def contents(self) -> dict[File, str]:
    """Return {path: SHA-256 (hex) of its bytes} of all images.

    Raises:
      UserError: a file cannot be read.
    """
    found = {}
    for path in self.paths:
      try:
        with path.open('rb') as file:
          found[path] = hashlib.file_digest(file, 'sha256').hexdigest()
      except OSError as error:
        raise _unreadable(path, error) from error
    return found

  def sha256(self, contents: Mapping[File, str]) -> str:
    """Return the SHA-256 (hex) over all images' paths within the folder and their bytes.

    Splits and classes belong to it, too.

    Args:
      contents: what `contents` returns.
    """
    digest = hashlib.sha256()
    for split, classes in {} if self.told else self.images.items():
      for name, paths in classes.items():
        digest.update(f'{split}\n{name}\n{len(paths)}\n'.encode())
    for path in self.paths:
      digest.update(f'{self.name(path)}\n{contents[path]}\n'.encode())
    return digest.hexdigest()


def scan(root: Path) -> Folder:
  """List the images of a folder: train/CLASS/IMAGE and test/CLASS/IMAGE, or CLASS/IMAGE.

  The names of `TRAIN` and `TEST` may be written in capitals. The first of `TEST` that has a class
  of train is the test split. A folder without any of these is split at random (`partition`). So is
  one with a single of these that has images itself, and at least two other folders: it is a class.

  An image is a file with one of `SUFFIXES`, in either case. Other entries of a split or a class,
  such as hidden files, are skipped. Links are followed. Both are counted, by kind, in the log.

  Args:
    root: the folder.

  Raises:
    UserError: the folder does not exist, or has train and no test, or test and no train. There are
      fewer than two classes, or test has classes that train lacks. Classes of train have no images.
      A folder cannot be read, or a name cannot be stored.
  """
  layout = f'{root}/train/CLASS/IMAGE and {root}/test/CLASS/IMAGE'
  if not os.path.exists(root):
    raise UserError(f'there is no folder {root}; correct `archive`')
  if not root.is_dir():
    raise UserError(f'{root} is a file; `archive` needs a folder with {layout}')
  trains, tests = _splits(root, TRAIN), _splits(root, TEST)
  if _is_class(root, *trains, *tests):
    logger.warning('%s has images itself, so it is taken as a class', *trains, *tests)
    return _whole(root.resolve())
  if not trains and not tests and _names(root):
    return _whole(root.resolve())
  if not trains:
    raise UserError(f'{root} has no folder train; {layout} are needed, or {root}/CLASS/IMAGE')
  if len(trains) > 1:
    raise UserError(f'{listed(trains)} may both be the training split; leave one')
  if not tests:
    raise UserError(
      f'{root} has no folder {", ".join(TEST[:-1])} or {TEST[-1]}; make one, or have {trains[0]}'
      f' split at random with `archive={trains[0]}`'
    )
  root = root.resolve()
  listing = _Listing(root)
  [train_folder] = _splits(root, TRAIN)
  tests = _splits(root, TEST)
  train = listing.classes(train_folder)
  written = {image_files.named(name): name for name in train}
  test_folder = next(
    (path for path in tests if {*map(image_files.named, _names(path))} & written.keys()), tests[0]
  )
  if test_folder != tests[0]:
    logger.warning(
      '%s holds no class of train; the test images are those of %s', tests[0], test_folder
    )
  listing.require_images()
  test = {
    written.get(image_files.named(name), name): images
    for name, images in listing.classes(test_folder).items()
  }
  without = [name for name, images in test.items() if not images]
  for name in without:
    logger.warning('%s has no images; nothing is tested on this class', test_folder / name)
    del test[name]
  _require(train, 2, train_folder, layout)
  _require(test, 1, test_folder, layout)
  if strange := [test_folder / name for name in test if name not in train]:
    raise UserError(
      f'{listed(strange)} {"is a class" if len(strange) == 1 else "are classes"} that'
      f' {train_folder} has not; remove it, or add it there'
    )
  if untested := [name for name in train if name not in test and name not in without]:
    logger.warning('%s has no images of %s; they are not tested', test_folder, listed(untested))
  listing.report()
  names = f'{train_folder.name} and {test_folder.name}'
  return Folder(root, names, {'train': train, 'test': test}, told=not listing.joined)


def _whole(root: Path) -> Folder:
  """List CLASS/IMAGE, and split them at random."""
  listing = _Listing(root)
  images = listing.classes(root)
  listing.require_images()
  _require(images, 2, root, f'{root}/CLASS/IMAGE')
  parts = partition.stratified(root, images)
  listing.report()
  summary = partition.summary(parts)
  logger.warning('%s has no folders train and test; it is %s', root, summary)
  return Folder(root, summary, parts, told=False)


def _require(images: Mapping[str, Sequence[File]], least: int, place: Path, layout: str) -> None:
  if len(images) < least:
    raise UserError(
      f'class folders in {place}: {len(images)}; at least {least} {"is" if least == 1 else "are"}'
      f' needed, in the layout {layout}'
    )


def _is_class(root: Path, *splits: Path) -> bool:
  """Return whether the only folder with the name of a split is a class beside others."""
  if len(splits) != 1 or len(_names(root)) < 3:
    return False
  try:
    return any(path.suffix.lower() in SUFFIXES and path.is_file() for path in splits[0].iterdir())
  except OSError as error:
    raise _unreadable(splits[0], error) from error


def _splits(root: Path, names: tuple[str, ...]) -> list[Path]:
  """Return the folders that have one of some names, in any case; the first name's come first."""
  found = [name for name in _names(root) if name.lower() in names]
  return [root / name for name in sorted(found, key=lambda name: (names.index(name.lower()), name))]


def _names(folder: Path) -> set[str]:
  """Return the names of the folders in a folder."""
  try:
    return {
      path.name for path in folder.iterdir() if not image_files.is_junk(path.name) and path.is_dir()
    }
  except OSError as error:
    raise _unreadable(folder, error) from error


class _Listing:
  """Lists the splits of a folder, and counts what it passes over and which links it follows.

  Attributes:
    joined: folders of a class that has another folder, whose name composes accents in another way.
  """

  def __init__(self, root: Path):
    self._root = root
    self._others = collections.Counter[str]()
    self._links, self._empty = dict[Path, Path](), list[Path]()
    self.joined = list[Path]()

  def classes(self, split: Path) -> dict[str, list[Path]]:
    """Return {name: paths of its images} of a split's folder, both sorted."""
    images, written = dict[str, list[Path]](), dict[str, str]()
    for folder in self._entries(split, Path.is_dir):
      name = written.setdefault(image_files.named(folder.name), folder.name)
      if name in images:
        self.joined.append(folder)
      images.setdefault(name, []).extend(self._images(folder))
    return images

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
      kinds = image_files.counted(self._others)
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
    if self.joined:
      logger.warning(
        '%s: %d folders joined with others of their class, whose accents are composed in another'
        ' way (%s)',
        self._root,
        len(self.joined),
        listed(self.joined, 3),
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


def _unreadable(path: File, error: Exception) -> UserError:
  return UserError(f'{path} cannot be read ({first_line(error)}); mend or remove it')
