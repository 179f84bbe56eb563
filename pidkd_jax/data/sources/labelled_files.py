"""Image files whose classes, and perhaps splits, are told apart from their paths."""

import collections
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from pidkd_jax.core import image_files
from pidkd_jax.core.errors import UserError, listed
from pidkd_jax.core.image import File
from pidkd_jax.data.sources import partition
from pidkd_jax.data.sources.folder import TEST, TRAIN, Folder

logger = logging.getLogger(__name__)

# So many digits are a text, as Python refuses to read very long numbers.
_MANY_DIGITS = 20

# A file, its class, and its split or ''.
Row = tuple[File, str, str]


def arranged(
  source: Path, root: Path, rows: Sequence[Row], names: Mapping[str, str] | None = None
) -> Folder:
  """Arrange files by split and class.

  A split has one of the names of `folder.TRAIN` and `folder.TEST`. Without splits, the images are
  split at random (`partition`). Classes are sorted; whole numbers by their value.

  Args:
    source: says what the files are, for messages.
    root: the folder of the files, its path without links.
    rows: the files.
    names: {class in `rows`: its name}; None where they are names already.

  Raises:
    UserError: there are fewer than two classes, the splits are unknown or one is missing, or test
      images have classes without training images.
  """
  labels = sorted({label for _, label, _ in rows})
  if all(label.isdecimal() and len(label) < _MANY_DIGITS for label in labels):
    labels.sort(key=int)  # It is stable: 01 stays before 1.
  if names:
    rows = [(file, names[label], split) for file, label, split in rows]
    labels = [names[label] for label in labels]
  # Systems compose accents in two ways; the first label's is kept.
  written = {image_files.named(label): label for label in reversed(labels)}
  written = {label: written[image_files.named(label)] for label in labels}
  rows = [(file, written[label], split) for file, label, split in rows]
  labels = [label for label in labels if written[label] == label]
  if len(labels) < 2:
    raise UserError(f'{source} has {len(labels)} classes; at least 2 are needed')
  if any(split for _, _, split in rows):
    return _split(source, root, rows, labels)
  images = _by_class(rows, labels)
  parts = partition.stratified(source, {name: sorted(files) for name, files in images.items()})
  summary = partition.summary(parts)
  logger.warning('%s names no splits; it is %s', source, summary)
  return Folder(root, summary, parts, told=False)


def _split(source: Path, root: Path, rows: Sequence[Row], labels: Sequence[str]) -> Folder:
  """Return the images of files whose splits are known."""
  found = collections.Counter(split.lower() for _, _, split in rows)
  if strange := sorted(found.keys() - {*TRAIN, *TEST}):
    raise UserError(
      f'{source}: the splits {listed([split or "(empty)" for split in strange])} are neither of'
      f' {", ".join(TRAIN)} nor of {", ".join(TEST)}; rename them'
    )
  trains, tests = ([name for name in known if name in found] for known in (TRAIN, TEST))
  if not trains or not tests:
    raise UserError(
      f'{source} has images of {listed(sorted(found))} alone; training and test images are needed'
      ' (or no splits at all, and they are split at random)'
    )
  for name in tests[1:]:
    logger.warning('%s: %d images of %s are not read', source, found[name], name)
  parts = {}
  for part, splits in ('train', trains), ('test', tests[:1]):
    images = _by_class([row for row in rows if row[2].lower() in splits], labels)
    parts[part] = {name: sorted(files) for name, files in images.items() if files}
  if strange := [name for name in parts['test'] if name not in parts['train']]:
    raise UserError(
      f'{source}: no training images of {listed(strange)}; remove their test images, or add some'
    )
  if untested := [name for name in parts['train'] if name not in parts['test']]:
    logger.warning('%s: no test images of %s; they are not tested', source, listed(untested))
  return Folder(root, f'{trains[0]} and {tests[0]}', parts, told=False)


def _by_class(rows: Sequence[Row], labels: Sequence[str]) -> dict[str, list[File]]:
  images = {label: [] for label in labels}
  for file, label, _ in rows:
    images[label].append(file)
  return images
