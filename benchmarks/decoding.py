"""Measure how fast one core decodes photographs, by the form in which they are stored.

    python -m benchmarks.decoding --repeats 9

The benchmark takes parts of scikit-learn's two sample photographs (427x640 pixels) as different
images, stores them in each form, and decodes them in one thread. The last row reads a prepared
`image_folder` as a streamed training does. It prints the bytes of an image, and the images a second
of CPU time: the median, the lowest and the highest of all repeats. CPU time is that of one core
whatever else runs beside it, except for what cores share, such as caches.
"""

import argparse
import io
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from pidkd_jax.core import image as image_lib

# The side of stored images for networks of 224 pixels at a crop ratio of 0.875.
SIDE = 256
COUNT = 32


def main(repeats: int) -> None:
  """Print a table."""
  photographs = _photographs()
  covered = [image_lib.cover(one, SIDE, SIDE) for one in photographs]
  square = (SIDE, SIDE, 3)
  forms: dict[str, tuple[list[bytes], Callable[[bytes], object]]] = {
    f'{SIDE}x{SIDE} PNG': (_encoded(covered, 'PNG'), lambda one: image_lib.decode(one, square)),
    f'{SIDE}x{SIDE} JPEG, quality 95': (
      _encoded(covered, 'JPEG', quality=95),
      lambda one: image_lib.decode(one, square),
    ),
    f'{SIDE}x{SIDE} raw': (
      [np.asarray(one).tobytes() for one in covered],
      lambda one: np.frombuffer(one, np.uint8).reshape(square).copy(),
    ),
    '375x500 JPEG, quality 95, scaled to cover': (
      _encoded(photographs, 'JPEG', quality=95),
      _decode_and_scale,
    ),
  }
  print(f'{"stored as":<44}{"KiB":>7}{"images/s":>10}{"lowest":>9}{"highest":>9}')
  for name, (files, decode) in forms.items():
    size = sum(map(len, files)) / len(files) / 1024
    _print(name, size, [_rate(files, decode) for _ in range(repeats + 1)])
  with tempfile.TemporaryDirectory() as home:
    read, size = _streamed(photographs, pathlib.Path(home))
    rates = [COUNT * _rate([b''], lambda _: read()) for _ in range(repeats + 1)]
    _print(f'{SIDE}x{SIDE} PNG in array_record', size, rates)


def _print(name: str, size: float, rates: list[float]) -> None:
  rates = rates[1:]  # The first one warms up.
  middle, low, high = statistics.median(rates), min(rates), max(rates)
  print(f'{name:<44}{size:>7.0f}{middle:>10.0f}{low:>9.0f}{high:>9.0f}', flush=True)


def _streamed(photographs: list[Image.Image], home: pathlib.Path) -> tuple[Callable, float]:
  """Return a function that reads the prepared photographs once, and the KiB of each."""
  from pidkd_jax import data

  for index, image in enumerate(photographs):
    for split in 'train', 'test':
      path = home / 'photos' / split / f'{index % 2}' / f'{index}.png'
      path.parent.mkdir(parents=True, exist_ok=True)
      image.save(path)
  dataset = data.load(
    'image_folder',
    directory=str(home / 'tfds'),
    archive=str(home / 'photos'),
    image_size=224,
    crop_ratio=0.875,
    limit=0,
  )
  reader = dataset.train.reader
  size = sum(pathlib.Path(file.filename).stat().st_size for file in reader.split.files)
  return lambda: reader.read(np.arange(COUNT)), size / COUNT / 1024


def _photographs() -> list[Image.Image]:
  """Return parts of 375x500 pixels, the usual size of ImageNet's photographs."""
  random = np.random.default_rng(0)
  parts = []
  for index in range(COUNT):
    image = load_sample_images().images[index % 2]
    top, left = random.integers(0, 427 - 375 + 1), random.integers(0, 640 - 500 + 1)
    parts.append(Image.fromarray(image[top : top + 375, left : left + 500]))
  return parts


def _encoded(images: list[Image.Image], kind: str, **options: int) -> list[bytes]:
  files = []
  for image in images:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    files.append(buffer.getvalue())
  return files


def _decode_and_scale(encoded: bytes) -> np.ndarray:
  with Image.open(io.BytesIO(encoded)) as image:
    return np.asarray(image_lib.cover(image.convert('RGB'), SIDE, SIDE))


def _rate(files: list[bytes], decode: Callable[[bytes], object]) -> float:
  """Return the images that a second of CPU time decodes."""
  started = time.process_time()
  for encoded in files:
    decode(encoded)
  return len(files) / (time.process_time() - started)


if __name__ == '__main__':
  parser = argparse.ArgumentParser()
  parser.add_argument('--repeats', type=int, default=9, help='Passes over all images.')
  main(parser.parse_args().repeats)
