"""What tells whether the files of a prepared dataset are the ones that were read before."""

import hashlib
import json
import pathlib

import PIL


def key(folder: pathlib.Path) -> str:
  """Return a digest (hex) of the files' names, sizes and times, and of the decoder's version.

  Only the kernel sets the change time (ctime), and every write sets it. So an altered file is
  noticed even if its size and modification time are as before. Hidden files are no part of a
  dataset.

  Args:
    folder: of the prepared dataset.
  """
  files = [
    (path.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    for path in sorted(folder.iterdir())
    if not path.name.startswith('.')
    for stat in [path.stat()]
  ]
  return hashlib.sha256(json.dumps([PIL.__version__, files]).encode()).hexdigest()
