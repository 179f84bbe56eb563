"""Equal files among a user's images: in both splits, or in two classes."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from pidkd_jax.core.errors import listed
from pidkd_jax.core.image import File
from pidkd_jax.data.sources.folder import Folder

logger = logging.getLogger(__name__)

# Names of images in a line on the screen.
_NAMED = 3


def warn(source: Path, folder: Folder, contents: Mapping[File, str]) -> None:
  """Log the test images that are training images too, and the images that have two classes.

  Files are compared byte by byte, so an image that was saved anew is another one.

  Args:
    source: says what the files are, for messages.
    folder: the images.
    contents: of `folder`.
  """
  train, test = (
    [path for paths in folder.images[split].values() for path in paths]
    for split in ('train', 'test')
  )
  trained = {contents[path]: path for path in train}
  if same := [(path, trained[contents[path]]) for path in test if contents[path] in trained]:
    logger.warning(
      '%s: %d of the %d test images are training images, byte by byte (%s); networks that train on'
      ' them look better than they are, so remove one of each',
      source,
      len(same),
      len(test),
      _names(folder, same),
    )
  first, differing = dict[str, tuple[str, File]](), []
  for classes in folder.images.values():
    for name, paths in classes.items():
      for path in paths:
        known_name, known = first.setdefault(contents[path], (name, path))
        if known_name != name:
          differing.append((path, known))
  if differing:
    logger.warning(
      '%s: %d images are in another class too, byte by byte (%s); leave the right one of each',
      source,
      len(differing),
      _names(folder, differing),
    )


def _names(folder: Folder, pairs: Sequence[tuple[File, File]]) -> str:
  return listed([f'{folder.name(one)} is {folder.name(other)}' for one, other in pairs], _NAMED)
