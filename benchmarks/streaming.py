"""Shows what a dataset takes in memory when it is streamed, and when it is not.

python -m benchmarks.streaming --images 8000 --size 96

Makes a folder of as many training images (and an eighth of them to test on), prepares it, and in a
process for each way and size goes through an epoch of training batches and an evaluation. Printed
are how much more memory the process held at most than when it was about to open the dataset, and
the SHA-256 of all batches and logits. Everything made is removed. Linux only.
"""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

CLASSES = 10


def main(images: int, size: int) -> int:
  """Returns the exit status."""
  print(f'{"images":>8} {"read":>10} {"decoded":>10} {"growth":>10} {"epoch":>8}  batches, logits')
  with tempfile.TemporaryDirectory() as home:
    for count in (images // 4, images):
      folder = pathlib.Path(home, f'{count}')
      _write(folder, count, size)
      for way, limit in ('streamed', '0'), ('in memory', ''):
        done = subprocess.run(
          [sys.executable, '-m', 'benchmarks.streaming', '--folder', str(folder), '--limit', limit],
          env=os.environ | {'XDG_CACHE_HOME': f'{home}/caches'},
          stdout=subprocess.PIPE,
          text=True,
        )
        if done.returncode:
          return done.returncode
        growth, decoded, seconds, digest = done.stdout.split()
        print(
          f'{count:>8,} {way:>10} {decoded:>6} MiB {growth:>6} MiB {seconds:>6} s  {digest[:16]}',
          flush=True,
        )
  return 0


def _write(folder: pathlib.Path, count: int, size: int) -> None:
  """Images that differ, smooth as photographs are."""
  import numpy as np
  from PIL import Image

  random = np.random.default_rng(0)
  for split, number in ('train', count), ('test', count // 8):
    for index in range(number):
      path = folder / split / f'{index % CLASSES}' / f'{index}.jpg'
      path.parent.mkdir(parents=True, exist_ok=True)
      small = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8))
      small.resize((size, size), Image.Resampling.BICUBIC).save(path)


def _measure(folder: pathlib.Path, limit: int | None) -> None:
  from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

  import grain  # What it takes itself is not the data's.
  import jax
  import jax.numpy as jnp
  import numpy as np

  from pidkd_jax import data, models
  from pidkd_jax.data import noise
  from pidkd_jax.evaluation import inference
  from pidkd_jax.core.types import Network

  del app, grain

  def open_(limit):
    place = str(folder.parent / 'tfds')
    return data.load('image_folder', directory=place, archive=str(folder), limit=limit)

  size = open_(0).spec.image_shape[0]  # Prepared, and looked through, before anything is measured.

  def go_through(dataset, spec):
    digest = hashlib.sha256()
    stream = dataset.train.batches(
      spec.normalisation, jax.random.key(0), batch_size=64, padding=4, flip=True
    )
    order = stream.order(jnp.int32(0))
    started = time.monotonic()
    for step in range(stream.steps_per_epoch):
      digest.update(np.asarray(stream.batch(order, jnp.int32(step)).image))
    seconds = time.monotonic() - started
    digest.update(
      inference.logits(network, inference.eval_batches(dataset.test, spec.normalisation))
    )
    return seconds, digest.hexdigest()

  model = models.create('resnet8*0.25', num_classes=CLASSES)
  shape = jnp.zeros((1, size, size, 3))
  network = Network(jax.jit(model.init)(jax.random.key(0), shape), model)
  small = noise.dataset(320, size, CLASSES)
  go_through(small, small.spec)  # What programs and one batch take is not the data's either.
  pathlib.Path('/proc/self/clear_refs').write_text('5')  # The peak is what is held now.
  before = _peak()
  dataset = open_(limit)
  seconds, digest = go_through(dataset, dataset.spec)
  decoded = (len(dataset.train) + len(dataset.test)) * size * size * 3
  print(f'{_peak() - before:.0f} {decoded / 2**20:.0f} {seconds:.1f} {digest}')


def _peak() -> float:
  """MiB that this process has held at most, as Linux has it."""
  lines = pathlib.Path('/proc/self/status').read_text().splitlines()
  [kib] = (line.split()[1] for line in lines if line.startswith('VmHWM:'))
  return int(kib) / 1024


if __name__ == '__main__':
  parser = argparse.ArgumentParser()
  parser.add_argument('--images', type=int, default=8000, help='To train on.')
  parser.add_argument('--size', type=int, default=96, help='Side of the images.')
  parser.add_argument('--folder', help=argparse.SUPPRESS)
  parser.add_argument('--limit', default='', help=argparse.SUPPRESS)
  given = parser.parse_args()
  if given.folder:
    _measure(pathlib.Path(given.folder), int(given.limit) if given.limit else None)
    sys.exit(0)
  sys.exit(main(given.images, given.size))
