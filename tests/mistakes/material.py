"""The files that the mistakes are made with: small, and each wrong in one way."""

import hashlib
import io
import json
import pathlib
import pickle
import runpy
import shutil
import struct
import tarfile
import zipfile
import zlib

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from pidkd_jax import data, models
from pidkd_jax.bundles import bundle
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from tests import small
from tests.data import archives
from tests.forks import ROOT
from tests.report import folders

CIFAR = 'cifar-100-binary'
TINY = 'tiny-imagenet-200'
NETWORK = 'resnet8*0.25'


def make(home: pathlib.Path) -> None:
  """Fills an empty folder with everything that the table's arguments name."""
  for part in (_texts, _archives, _images, _bundles, _prepared, _torch, _runs):
    part(home)


def _texts(home):
  """Configs and modules that are none, and files where folders belong."""
  (home / 'mine').mkdir()
  (home / 'mine' / 'main.csv').write_text('a,b\n1,2\n')
  (home / 'file').write_text('a file\n')
  (home / 'empty').mkdir()
  texts = {
    'config.json': '{"batch_size": 64}\n',
    'config.txt': 'batch_size: 64\nepochs: many more\n',
    'raising.py': "def get_config(arg=''):\n  return 1 / 0\n",
    'other_type.py': (
      'from pidkd_jax.experiment import config\n\n\n'
      "def get_config(arg=''):\n  c = config.cohort()\n  c.drops = 0.5\n  return c\n"
    ),
    'no_rows.py': (
      'from pidkd_jax.experiment import config\n\n\n'
      "def get_config(arg=''):\n  c = config.cohort()\n  c.student = c.teacher.model = 'resnet8'\n"
      '  return c\n'
    ),
    'missing_key.py': "def get_config(arg=''):\n  return {}['total_epochs']\n",
    'importing.py': 'import no_such_module\n',
    'nothing.py': 'x = 1\n',
    'returns_none.py': "def get_config(arg=''):\n  return None\n",
    'returns_a_dict.py': "def get_config(arg=''):\n  return {'batch_size': 64}\n",
    'another.py': (
      'from ml_collections import ConfigDict\n\n\n'
      "def get_config(arg=''):\n  return ConfigDict({'batch_size': 64})\n"
    ),
  }
  (home / 'bad').mkdir()
  for name, text in texts.items():
    (home / 'bad' / name).write_text(text)
  (home / 'bad' / 'binary.py').write_bytes(bytes(range(256)))
  (home / 'own.py').write_text(
    'from pidkd_jax.models.base import Model\n\n\n'
    'class Other:\n  def __init__(self, num_classes):\n    pass\n\n\n'
    'class Bare(Model):\n  pass\n\n\n'
    'class Failing(Model):\n'
    '  def stages(self, image, train=False):\n    return 1 / 0\n\n'
    '  def classify(self, pooled):\n    return pooled\n\n\n'
    'number = 3\n'
  )
  (home / 'misspelt.py').write_text('clas Tiny:\n  pass\n')
  (home / 'stumbling.py').write_text('value = 1 / 0\n')
  for name, text in {
    'headless': 'pidkd,77.1,a paper\n',
    'worded': 'label,value,source\npidkd,many,a paper\n',
    'misspelt': 'label,value,source\npidk,77.1,a paper\n',
  }.items():
    (home / f'{name}.csv').write_text(text)


# --- archives


def _archives(home):
  place = home / 'archives'
  (place / 'folder.tar.gz').mkdir(parents=True)
  good = archives.cifar_members()
  whole = archives.write_tar(place / 'good.tar.gz', good).read_bytes()
  for name, content in {
    'empty': b'',
    'text': b'not an archive\n',
    'truncated': whole[:-5000],
    'holed': whole[:3000] + bytes(100) + whole[3100:],
  }.items():
    (place / f'{name}.tar.gz').write_bytes(content)

  def spoilt(name, **members):
    changed = {f'{CIFAR}/{key}': value for key, value in members.items()}
    archives.write_tar(place / f'{name}.tar.gz', {**good, **changed})

  train, test = (good[f'{CIFAR}/{split}.bin'] for split in ('train', 'test'))
  spoilt('short-record', **{'train.bin': train[:-1]})
  spoilt('no-records', **{'test.bin': b''})
  spoilt('label-out-of-range', **{'test.bin': test[:1] + b'\x63' + test[2:]})
  spoilt('class-twice', **{'fine_label_names.txt': b'a\na\nb\nc\n'})
  spoilt('names-not-text', **{'fine_label_names.txt': b'\xff\xfe'})
  archives.write_tar(place / 'other-members.tar.gz', {'readme.txt': b'hello'})
  outside = {name: content for name, content in good.items() if 'train' not in name}
  archives.write_tar(
    place / 'outside.tar.gz', {**outside, f'../../{CIFAR}/train.bin': train, '/tmp/x': b'x'}
  )
  with tarfile.open(place / 'link.tar.gz', 'w:gz') as tar:
    link = tarfile.TarInfo(f'{CIFAR}/train.bin')
    link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
    tar.addfile(link)
    for name, content in outside.items():
      info = tarfile.TarInfo(name)
      info.size = len(content)
      tar.addfile(info, io.BytesIO(content))
  info = tarfile.TarInfo(f'{CIFAR}/train.bin')
  info.size = 2**40
  with tarfile.open(place / 'enormous.tar.gz', 'w:gz') as tar:
    tar.fileobj.write(info.tobuf())

  tiny = archives.tiny_members()
  archives.write_zip(place / 'good.zip', tiny)
  random = np.random.default_rng(0)
  image = archives.jpeg(random)
  for name, content in {
    'no-jpeg': b'no JPEG',
    'cut-jpeg': image[:-200],
    'small-jpeg': archives.jpeg(random, size=(32, 32)),
    'cmyk-jpeg': _encoded(Image.new('CMYK', (64, 64)), 'JPEG'),
    'palette-png': _encoded(Image.new('P', (64, 64)), 'PNG'),
    'large-image': bytes(2**19),
  }.items():
    members = {**tiny, f'{TINY}/train/n01/images/n01_1.JPEG': content}
    archives.write_zip(place / f'{name}.zip', members)
  for name, text in {
    'no-names': 'wnids.txt',
    'no-annotations': 'val_annotations',
    'no-train': '/train/',
  }.items():
    kept = {member: content for member, content in tiny.items() if text not in member}
    archives.write_zip(place / f'{name}.zip', kept)
  archives.write_zip(place / 'unnamed-class.zip', {**tiny, f'{TINY}/wnids.txt': b'n01\nn02\n'})
  moved = {name.replace(TINY, f'../{TINY}'): content for name, content in tiny.items()}
  archives.write_zip(place / 'outside.zip', moved)
  zipped = (place / 'good.zip').read_bytes()
  (place / 'truncated.zip').write_bytes(zipped[:-1000])


def _images(home):
  """Files for a bundle to look at."""
  place = home / 'images'
  (place / 'folder.png').mkdir(parents=True)
  good = _encoded(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9), np.uint8)), 'PNG'
  )
  for name, content in {
    'good': good,
    'text': b'no image\n',
    'cut': good[: len(good) // 2],
    'bomb': _declaring(2**16, 2**16),
    'animation': _encoded(Image.new('RGB', (9, 9)), 'GIF'),
  }.items():
    (place / f'{name}.png').write_bytes(content)


def _declaring(width, height):
  """A PNG file that says in its header how large it is, and holds nothing."""
  parts = ((b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)), (b'IEND', b''))
  chunks = (
    struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))
    for kind, content in parts
  )
  return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


def _encoded(image, format_):
  buffer = io.BytesIO()
  image.save(buffer, format_)
  return buffer.getvalue()


# --- bundles


def _bundles(home):
  """`digits` is good; the others are copies of it that were damaged or altered."""
  spec = small.digits(home / 'tfds').spec  # Most commands read them.
  facts = bundle.dataset_card(spec, spec.normalisation)
  archive = str(home / 'archives' / 'good.tar.gz')
  data.load('cifar100', directory=str(home / 'tfds'), archive=archive, verify=False)
  good = home / 'bundles' / 'digits'
  bundle.save(good, _network(10, spec.image_shape), {'dataset': facts})
  other = {**facts, 'name': 'other', 'class_names': ['a', 'b', 'c']}
  bundle.save(good.with_name('three'), _network(3, spec.image_shape), {'dataset': other})

  for name, card in {'distilled': {'network': NETWORK}, 'unnamed': {'network': 'own:Bare'}}.items():
    student = NETWORK if name == 'distilled' else 'resnet8*0.3'  # The latter has no name.
    student, teacher = (models.create(one, num_classes=10) for one in (student, NETWORK))
    model = Distilled(10, student, teacher, 2, 4, 'mean', (2, 2, 16), True)
    bundle.save(good.with_name(name), _initial(model, spec.image_shape), {'dataset': facts, **card})

  def copied(name):
    return shutil.copytree(good, good.with_name(name))

  (home / 'bundles' / 'empty').mkdir()
  (home / 'bundles' / 'weights').mkdir()
  (copied('no-manifest') / 'manifest.json').unlink()
  (copied('no-card') / 'card.json').unlink()
  (copied('listed') / 'manifest.json').write_text('[]')
  (copied('unreadable') / 'manifest.json').write_text('{')
  path = copied('altered') / 'variables.npz'
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)

  path = copied('cut') / 'variables.npz'
  path.write_bytes(path.read_bytes()[:-100])
  sign(path.parent)

  def altered(name, change):
    folder = copied(name)
    card = json.loads((folder / 'card.json').read_text())
    change(card)
    (folder / 'card.json').write_text(json.dumps(card))
    sign(folder)

  altered('no-dataset', lambda card: card.pop('dataset'))
  altered('other-card', lambda card: (card.clear(), card.update(schema=2)))
  altered('no-family', lambda card: card['model'].update(family='os.system'))
  altered('own-family', lambda card: card['model'].update(family='own:Bare'))
  altered('other-fields', lambda card: card['model'].update(colour='red'))
  altered('wordy-depth', lambda card: card['model'].update(depth='eight'))
  altered('odd-depth', lambda card: card['model'].update(depth=9))
  altered('flat-image', lambda card: card['dataset'].update(image_shape=[8, 8]))
  altered('empty-image', lambda card: card['dataset'].update(image_shape=[0, 8, 3]))
  altered('wordy-mean', lambda card: card['dataset'].update(mean='dark'))
  altered('darker', lambda card: card['dataset'].update(mean=[0.1]))
  altered('no-std', lambda card: card['dataset'].update(std=[0.0]))
  altered('few-names', lambda card: card['dataset'].update(class_names=['a', 'b']))
  altered('listed-results', lambda card: card.update(results=[1]))
  altered('listed-training', lambda card: card.update(training=[1]))
  altered('no-fingerprint', lambda card: card['dataset'].pop('fingerprint'))
  altered('no-data', lambda card: card['dataset'].pop('format'))
  altered('no-such-data', lambda card: card['dataset'].update(format='digit'))

  def exchanged(name, change):
    folder = copied(name)
    with np.load(folder / 'variables.npz') as file:
      arrays = dict(file)
    change(arrays)
    np.savez(folder / 'variables.npz', **arrays)
    sign(folder)

  key = 'params/stem/conv/kernel'
  exchanged('misshapen', lambda arrays: arrays.update({key: arrays[key][..., :1]}))
  exchanged('doubled', lambda arrays: arrays.update({key: arrays[key].astype(np.float64)}))
  exchanged('lacking', lambda arrays: arrays.pop(key))
  trap = np.array([Trap('bundles/ran')], dtype=object)
  exchanged('pickled', lambda arrays: arrays.update({key: trap}))

  folder = copied('enormous')
  header = io.BytesIO()
  declared = {'descr': '<f4', 'fortran_order': False, 'shape': (2**20, 2**20)}
  np.lib.format.write_array_header_1_0(header, declared)
  with zipfile.ZipFile(good / 'variables.npz') as old:
    members = {name: old.read(name) for name in old.namelist()}
  archives.write_zip(folder / 'variables.npz', {**members, f'{key}.npy': header.getvalue()})
  sign(folder)


def _network(num_classes, image_shape):
  return _initial(models.create(NETWORK, num_classes=num_classes), image_shape)


def _initial(model, image_shape):
  """Return a network with random weights; a compiled initialisation would take seconds."""
  random = np.random.default_rng(0)

  def value(path, leaf):
    if path[-1].key in ('var', 'scale'):
      return np.ones(leaf.shape, leaf.dtype)
    return (random.normal(size=leaf.shape) / 10).astype(leaf.dtype)

  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *image_shape)))
  return Network(jax.tree.map_with_path(value, shapes), model)


def sign(folder):
  """Makes the manifest fit what lies there, as somebody who alters a bundle would."""
  names = ('variables.npz', 'card.json')
  sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
  (folder / 'manifest.json').write_text(json.dumps(sums))


class Trap:
  """Makes a file when it is unpickled."""

  def __init__(self, path):
    self._path = path

  def __reduce__(self):
    import os

    return os.system, (f'touch {self._path}',)


# --- prepared data


def _prepared(home):
  """Folders of TFDS whose content was damaged after it was prepared."""

  def damaged(name, pattern, change):
    folder = shutil.copytree(home / 'tfds', home / 'prepared' / name)
    for path in folder.rglob(pattern):
      path.write_bytes(change(path.read_bytes()))

  damaged('no-json', 'dataset_info.json', lambda content: b'{')
  damaged('cut', '*train.array_record*', lambda content: content[: len(content) // 2])
  damaged('tfrecord', 'dataset_info.json', lambda info: info.replace(b'array_record', b'tfrecord'))
  damaged('emptied', '*train.array_record*', lambda content: b'')


# --- PyTorch


def _torch(home):
  place = home / 'torch'
  (place / 'folder.pth').mkdir(parents=True)
  (place / 'empty.pth').write_bytes(b'')
  (place / 'text.pth').write_text('not a checkpoint\n')
  (place / 'pickled.pth').write_bytes(pickle.dumps(Trap('torch/ran'), protocol=2))
  try:
    import torch
  except ImportError:
    return
  from benchmarks.pytorch import networks

  torch.manual_seed(0)
  state = networks.create('resnet8', num_classes=4).state_dict()
  torch.save({'model': state}, place / 'resnet8.pth')
  torch.save({'model': state, 'note': Trap('torch/ran')}, place / 'system.pth')
  torch.save(state['conv1.weight'], place / 'tensor.pth')
  torch.save({'model': [1, 2]}, place / 'listed.pth')
  torch.save({'model': {}}, place / 'nothing.pth')
  torch.save({'epoch': 3}, place / 'number.pth')
  torch.save({k: v for k, v in state.items() if k != 'conv1.weight'}, place / 'lacking.pth')
  torch.save({**state, 'conv1.weight': state['conv1.weight'] / 0}, place / 'infinite.pth')
  torch.save({**state, 'conv1.weight': state['conv1.weight'][:, :1]}, place / 'misshapen.pth')
  torch.save({'model': state, 'proj': {'a': torch.zeros(1)}}, place / 'simkd.pth')
  timms = {'input_size': [3, 32, 32], 'mean': [0.5] * 3, 'std': [0.25] * 3}
  for name, entries in {
    'another': {'architecture': 'resnet18'},
    'fewer': {'architecture': 'resnet8', 'label_names': ['ant', 'bee']},
    'damaged': {'architecture': 'resnet8', 'label_names': ['ant', 'bee'], 'num_classes': 4},
  }.items():
    (place / name).mkdir()
    shutil.copy(place / 'resnet8.pth', place / name)
    text = json.dumps({**entries, 'pretrained_cfg': timms})
    (place / name / 'config.json').write_text(text)
  large = {'conv1': (64, 3, 7, 7), 'layer2.0.downsample.0': (2, 2, 1, 1), 'fc': (1000, 2)}
  blocks = {f'layer{1 + i // 2}.{i % 2}.conv2': (2, 2, 3, 3) for i in range(8)}
  other = {f'{name}.weight': torch.zeros(shape) for name, shape in {**large, **blocks}.items()}
  torch.save(other, place / 'torchvision.pth')
  whole = (place / 'resnet8.pth').read_bytes()
  (place / 'cut.pth').write_bytes(whole[: len(whole) // 2])


# --- runs


def _runs(home):
  place = home / 'runs'
  labels = [folders.Label('pidkd'), folders.Label('simkd')]
  folders.run(place / 'good', labels)

  def changed(name, change):
    change(shutil.copytree(place / 'good', place / name))

  def text(path, value):
    return lambda folder: (folder / path).write_text(value)

  def card(edit):
    return lambda folder: folders.change(folder, 'pidkd-0', edit)

  (place / 'empty').mkdir()
  (place / 'unfinished').mkdir()
  text('metrics.jsonl', '')(place / 'unfinished')
  rows = (place / 'good' / 'metrics.jsonl').read_text().splitlines(keepends=True)
  one = 'bundles/pidkd-0/card.json'
  changed('cut-metrics', text('metrics.jsonl', ''.join(['{"step": 1\n', *rows])))
  changed('nameless-metrics', text('metrics.jsonl', ''.join(['{"step": 1}\n', *rows])))
  changed('binary-metrics', text('metrics.jsonl', '\0\1\2\n' + ''.join(rows)))
  changed('cut-card', text(one, '{"label": '))
  changed('listed-card', text(one, '[]'))
  changed('other-card', text(one, '{}'))
  changed('untrained-card', card(lambda one: one.update(training={})))
  changed('listed-training', card(lambda one: one.update(training=[])))
  changed('nameless-data', card(lambda one: one['dataset'].pop('fingerprint')))
  changed('no-recipe', card(lambda one: one['training'].update(recipe=None)))
  changed('no-results', card(lambda one: one.pop('results')))
  changed('cut-teacher', text('teacher.json', '{'))
  changed('cut-diverged', text('diverged.json', '{'))
  changed('cut-outputs', text('outputs/pidkd-0.npz', 'PK'))

  before = runpy.run_path(str(ROOT / 'configs' / 'digits.py'))['get_config']('pidkd')
  before.student = before.teacher.model = NETWORK
  for name, content in {
    'seed-7': json.dumps({**before.to_dict(), 'seed': 7}, indent=2),
    'cut-config': '{"seed": ',
    'listed-config': '[]',
  }.items():
    (place / name).mkdir()
    (place / name / 'config.json').write_text(content)
  (place / 'no-config' / 'checkpoints').mkdir(parents=True)
