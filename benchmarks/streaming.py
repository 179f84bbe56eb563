"""Measure the memory that a dataset takes, streamed and in memory.

    python -m benchmarks.streaming --images 8000 --size 96

The benchmark makes a folder of training images, and an eighth as many test images, and prepares it.
For each size, once streamed and once in memory, a process of its own runs an epoch of training
batches and an evaluation. The benchmark prints the growth of that process's peak memory from before
the dataset was opened, and the SHA-256 of all batches and logits. It removes all files that it
makes. It needs Linux.
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
  """Print a table, and return the exit status."""
  print(f'{"images":>8} {"read":>10} {"decoded":>10} {"growth":>10} {"epoch":>8}  batches, logits')
  with tempfile.TemporaryDirectory() as home:
    for count in (images // 4, images):
      folder = pathlib.Path(home, f'{count}')
      _write(folder, count, size)
      for mode, limit in ('streamed', '0'), ('in memory', ''):
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
          f'{count:>8,} {mode:>10} {decoded:>6} MiB {growth:>6} MiB {seconds:>6} s  {digest[:16]}',
          flush=True,
        )
  return 0


def _write(folder: pathlib.Path, count: int, size: int) -> None:
  """Write different images, as smooth as photographs."""
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

  import grain  # Before measuring: its own memory is not the data's.
  import jax
  import jax.numpy as jnp
  import numpy as np

  from pidkd_jax import data, models
  from pidkd_jax.data import noise
  from pidkd_jax.evaluation import inference
  from pidkd_jax.models.network import Network

  del app, grain

  def load(limit):
    directory = str(folder.parent / 'tfds')
    return data.load('image_folder', directory=directory, archive=str(folder), limit=limit)

  # Before measuring: prepare the dataset, and cache its statistics.
  size = load(0).spec.image_shape[0]

  def run(dataset, spec):
    """Return the seconds of an epoch, and the SHA-256 of its batches and of the test logits."""
    digest = hashlib.sha256()
    batches = dataset.train.batches(
      spec.normalisation, jax.random.key(0), batch_size=64, padding=4, flip=True
    )
    order = batches.order(jnp.int32(0))
    started = time.monotonic()
    for step in range(batches.steps_per_epoch):
      digest.update(np.asarray(batches.batch(order, jnp.int32(step)).image))
    seconds = time.monotonic() - started
    digest.update(
      inference.logits(network, inference.eval_batches(dataset.test, spec.normalisation))
    )
    return seconds, digest.hexdigest()

  model = models.create('resnet8*0.25', num_classes=CLASSES)
  shape = jnp.zeros((1, size, size, 3))
  network = Network(jax.jit(model.init)(jax.random.key(0), shape), model)
  small = noise.dataset(320, size, CLASSES)
  run(small, small.spec)  # Before measuring: the memory of programs and a batch is not the data's.
  pathlib.Path('/proc/self/clear_refs').write_text('5')  # Reset the peak to the present use.
  before = _peak()
  dataset = load(limit)
  seconds, digest = run(dataset, dataset.spec)
  decoded = (len(dataset.train) + len(dataset.test)) * size * size * 3
  print(f'{_peak() - before:.0f} {decoded / 2**20:.0f} {seconds:.1f} {digest}')


def _peak() -> float:
  """Return the peak memory of this process in MiB."""
  lines = pathlib.Path('/proc/self/status').read_text().splitlines()
  [kib] = (line.split()[1] for line in lines if line.startswith('VmHWM:'))
  return int(kib) / 1024


if __name__ == '__main__':
  parser = argparse.ArgumentParser()
  parser.add_argument('--images', type=int, default=8000, help='Training images.')
  parser.add_argument('--size', type=int, default=96, help='Side of the images in pixels.')
  parser.add_argument('--folder', help=argparse.SUPPRESS)
  parser.add_argument('--limit', default='', help=argparse.SUPPRESS)
  given = parser.parse_args()
  if given.folder:
    _measure(pathlib.Path(given.folder), int(given.limit) if given.limit else None)
    sys.exit(0)
  sys.exit(main(given.images, given.size))
