"""Small archives in the layouts of the official ones."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image


def cifar_members(num_fine=4, num_coarse=2, num_train=12, num_test=8, seed=0):
  """Return {member: bytes} of a small archive in CIFAR-100's format, with cyclic labels."""
  random = np.random.default_rng(seed)

  def records(count):
    fine = np.arange(count) % num_fine
    head = np.stack([fine % num_coarse, fine], axis=1)
    pixels = random.integers(0, 256, (count, 3072))
    return np.concatenate([head, pixels], axis=1).astype(np.uint8).tobytes()

  def lines(prefix, count):
    return ''.join(f'{prefix}_{index}\n' for index in range(count)).encode()

  return {
    'cifar-100-binary/train.bin': records(num_train),
    'cifar-100-binary/test.bin': records(num_test),
    'cifar-100-binary/fine_label_names.txt': lines('fine', num_fine),
    'cifar-100-binary/coarse_label_names.txt': lines('coarse', num_coarse),
  }


def write_tar(path, members):
  with tarfile.open(path, 'w:gz') as tar:
    for name, data in members.items():
      info = tarfile.TarInfo(name)
      info.size = len(data)
      tar.addfile(info, io.BytesIO(data))
  return path


def jpeg(random, mode='RGB', size=(64, 64)):
  """Return a JPEG file of smooth noise."""
  small = random.integers(0, 256, (8, 8) if mode == 'L' else (8, 8, 3), dtype=np.uint8)
  buffer = io.BytesIO()
  Image.fromarray(small).resize(size, Image.Resampling.BILINEAR).save(buffer, 'JPEG')
  return buffer.getvalue()


def tiny_members(seed=0):
  """Return {member: bytes} of a small archive in Tiny-ImageNet's layout.

  The first image of class n02 is gray.
  """
  random = np.random.default_rng(seed)
  members = {'tiny-imagenet-200/wnids.txt': b'n03\nn01\nn02\n'}
  for wnid in 'n01', 'n02', 'n03':
    folder = f'tiny-imagenet-200/train/{wnid}'
    members[f'{folder}/{wnid}_boxes.txt'] = b''
    for index in range(3):
      mode = 'L' if (wnid, index) == ('n02', 0) else 'RGB'
      members[f'{folder}/images/{wnid}_{index}.JPEG'] = jpeg(random, mode)
  lines = []
  for index in range(6):
    members[f'tiny-imagenet-200/val/images/val_{index}.JPEG'] = jpeg(random)
    lines.append(f'val_{index}.JPEG\tn0{index % 3 + 1}\t0\t0\t62\t62\n')
  members['tiny-imagenet-200/val/val_annotations.txt'] = ''.join(lines).encode()
  members['tiny-imagenet-200/test/images/test_0.JPEG'] = jpeg(random)
  return members


def write_zip(path, members):
  with zipfile.ZipFile(path, 'w') as zipped:
    for name, data in members.items():
      zipped.writestr(name, data)
  return path
