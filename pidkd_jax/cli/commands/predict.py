"""Print the likeliest classes of images, or write them as CSV.

    pidkd predict runs/cifar100/bundles/pidkd-0 photo.png [more images]
    pidkd predict runs/cifar100/bundles/pidkd-0 photos --out predictions.csv

A bundle is followed by images, and by folders that are searched for images. An
image is made RGB (or gray) and upright. One of another size is scaled to cover
the bundle's size and cropped to the middle; the output says so.
"""

import os
import pathlib

import tqdm
from absl import flags

from pidkd_jax import models
from pidkd_jax.bundles import trained_network
from pidkd_jax.cli import bundle_flags, prediction_output
from pidkd_jax.core import atomic_folder, image, image_files, local_path
from pidkd_jax.core.errors import UserError

FLAGS = flags.FLAGS

_CSV = 'predictions.csv'


def define_flags():
  bundle_flags.define()
  flags.DEFINE_string('out', '', f'CSV file of all results; with folders {_CSV} by default.')
  flags.DEFINE_integer('top', 5, 'Number of classes of each image.', lower_bound=1)


def main(*names):
  folder, names = (FLAGS.bundle, names) if FLAGS.bundle else _bundle(names)
  if not names:
    raise UserError(
      f'no image was given; name one or several {image.FORMATS} files, or their folders'
    )
  own = models.families(*FLAGS.own)
  bundle = local_path.resolve('--bundle', folder)
  paths, remarks = _paths(names)
  searched = any(os.path.isdir(os.path.expanduser(name)) for name in names)
  out = local_path.resolve('--out', FLAGS.out or _CSV) if FLAGS.out or searched else None
  prediction_output.check(out)
  student = trained_network.load(bundle, own)
  reader = student.reader(paths)
  for remark in remarks:
    print(remark)
  k = min(FLAGS.top, len(student.class_names))
  refused = []
  with prediction_output.writing(out, [*map(str, paths)], k) as write:
    # At a terminal, and where it takes a while.
    silent = None if len(reader) > trained_network.BATCH_SIZE else True
    with tqdm.tqdm(total=len(reader), unit=' images', leave=False, disable=silent) as bar:
      for batch in reader.batches(trained_network.BATCH_SIZE):
        best = student.top(batch.pixels, k)
        for row in zip(batch.names, batch.notes, best, strict=True):
          write(*row)
        refused += batch.refused
        bar.update(len(batch.names) + len(batch.refused))
  if out:
    print(f'{out}: {len(reader) - len(refused):,} of {len(reader):,} images')
  if refused:
    raise image.unusable(refused)


def _bundle(names):
  """Return the folder of a bundle and the images, which are the operands."""
  if not names:
    raise UserError('no --bundle was given; name its folder, then images')
  first, *others = names
  if not os.path.isfile(pathlib.Path(os.path.expanduser(first)) / atomic_folder.MANIFEST):
    raise UserError(
      f'no --bundle was given, and {first!r} is none; name the folder of a bundle, then images'
    )
  return first, others


def _paths(names):
  """Return the images that operands name, and a remark on each folder."""
  paths, remarks, refused = [], [], []
  for name in names:
    path = pathlib.Path(os.path.expanduser(name))
    # Paths of pathlib raise where a name is too long.
    if os.path.isdir(path):
      found, others = image_files.find(path)
      if not found:
        refused.append(f'{name!r} is a folder without images ({", ".join(image_files.SUFFIXES)})')
      kinds = ', '.join(f'{kind}: {count:,}' for kind, count in sorted(others.items()))
      passed = f'; passed over by their suffix: {kinds}' if others else ''
      remarks.append(f'{name}: {len(found):,} images{passed}')
      paths += found
    elif os.path.exists(path):
      paths.append(path)
    else:
      refused.append(f'{name!r} is not there')
  if refused:
    raise UserError(f'{"; ".join(refused)}; name {image.FORMATS} files, or folders of them')
  return paths, remarks
