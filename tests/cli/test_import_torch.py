"""`pidkd import-torch` as a user starts it: PyTorch -> bundle -> evaluation and teacher."""

import argparse
import itertools
import json
import shutil
import types

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from pidkd_jax import models
from pidkd_jax.bundles import torch_likeness, torch_names
from pidkd_jax.bundles.torch_file import Checkpoint
from pidkd_jax.cli import imported_bundle
from pidkd_jax.cli.commands import import_torch
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment import job
from tests.data import archives

torch = pytest.importorskip('torch', reason='PyTorch is not installed')

from benchmarks.pytorch import networks, simkd  # noqa: E402

MEAN, STD = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)
CLASSES = 4


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('import')


@pytest.fixture(scope='module')
def members():
  return archives.cifar_members(num_fine=CLASSES, num_train=64, num_test=200)


@pytest.fixture(scope='module')
def archive(home, members):
  return archives.write_tar(home / 'small.tar.gz', members)


def network(name, seed):
  """A PyTorch network with random weights and statistics, in inference mode."""
  torch.manual_seed(seed)
  made = networks.create(name, num_classes=CLASSES)
  with torch.no_grad():
    for key, value in made.state_dict().items():
      if key.endswith(('running_mean', 'bias')):
        value.normal_(0, 0.2)
      elif key.endswith('running_var'):
        value.uniform_(0.5, 1.5)
  return made.eval()


@pytest.fixture(scope='module')
def teacher():
  return network('resnet8', 0)


@pytest.fixture(scope='module')
def student():
  return network('MobileNetV2', 1)


@pytest.fixture(scope='module')
def projector():
  torch.manual_seed(2)
  return simkd.Projector(160, 64, 4).eval()


@pytest.fixture(scope='module')
def run(home, forks):
  """Return a function that runs `pidkd COMMAND` in the folder."""
  return lambda command, *arguments: forks.run(
    command, arguments, home, {'XDG_CACHE_HOME': str(home / 'cache')}
  )


def card(folder):
  return json.loads((folder / 'card.json').read_text())


def accuracy(members, predict, k):
  """Share of the archive's test images whose label is among PyTorch's k largest logits."""
  records = np.frombuffer(members['cifar-100-binary/test.bin'], np.uint8).reshape(-1, 3074)
  image = records[:, 2:].reshape(-1, 3, 32, 32) / np.float32(255)
  image = (image - np.float32(MEAN)[:, None, None]) / np.float32(STD)[:, None, None]
  with torch.no_grad():
    best = predict(torch.from_numpy(image)).topk(k).indices.numpy()
  return float(np.mean((best == records[:, 1:2]).any(axis=1)))


@pytest.fixture(scope='module')
def imported(run, home, archive, teacher):
  """The teacher's bundle: a file as RepDistiller writes it, from a data-parallel training."""
  state = {f'module.{key}': value for key, value in teacher.state_dict().items()}
  optimizer = torch.optim.SGD(teacher.parameters(), lr=0.1, momentum=0.9)
  torch.save(
    {
      'epoch': 240,
      'model': state,
      'best_acc': np.float64(79.4),
      'optimizer': optimizer.state_dict(),
      'opt': argparse.Namespace(learning_rate=0.1),
    },
    home / 'teacher.pth',
  )
  done = run(
    'import-torch',
    '--checkpoint=teacher.pth',
    '--model=resnet8',
    '--out=teacher',
    '--data=cifar100',
    f'--archive={archive}',
    '--noverify',
    '--data_dir=tfds',
  )
  assert done.returncode == 0, done.stderr
  return home / 'teacher'


def test_accuracies_are_those_of_pytorch(imported, members, teacher):
  found = card(imported)
  assert found['results']['top1'] == accuracy(members, teacher, 1)
  # The literature's statistics, not those of this archive.
  assert (found['dataset']['mean'], found['dataset']['std']) == (list(MEAN), list(STD))
  assert found['dataset']['class_names'] == [f'fine_{i}' for i in range(CLASSES)]
  assert found['imported']['file'] == 'teacher.pth' and len(found['imported']['sha256']) == 64


def test_it_teaches_the_main_job(imported, home, archive):
  c = configuration.default('pidkd')
  c.student = 'resnet8*0.25'
  c.method.num_projectors = 1
  c.total_epochs = 1
  c.batch_size = 32
  c.teacher.bundle = str(imported)
  c.data.name = 'cifar100'
  c.data.dir = str(home / 'tfds')
  c.data.archive = str(archive)
  c.data.verify = False
  assert 'teacher resnet8' in job.main(c, str(home / 'run'))
  # What the student sees is normalised as its teacher has it.
  assert card(home / 'run' / 'bundles' / 'pidkd-0')['dataset']['mean'] == list(MEAN)


def test_a_student_of_simkd_becomes_a_distilled_bundle(
  run, imported, home, members, teacher, student, projector
):
  state = {'model': student.state_dict(), 'proj': projector.state_dict(), 'epoch': 240}
  torch.save(state, home / 'student.pth')
  command = ('import-torch', '--checkpoint=student.pth', '--model=MobileNetV2', '--out=student')
  done = run(*command, '--teacher=teacher')
  assert done.returncode == 0, done.stderr
  assert card(home / 'student')['model']['family'] == 'Distilled'
  with np.load(home / 'student' / 'variables.npz') as file:
    assert not [name for name in file.files if '/last/' in name]

  # It is for the data of its teacher, which it agrees with as it did in PyTorch.
  done = run('evaluate', '--bundle=student', '--data_dir=tfds')
  assert done.returncode == 0, done.stderr
  figures = dict(line.split()[:2] for line in done.stdout.splitlines()[1:] if ' ' in line)
  predict = lambda image: simkd.predict(student, projector, teacher, image)  # noqa: E731
  assert float(figures['top1']) == accuracy(members, predict, 1)
  assert 'alignment_error' in figures


def test_without_data_the_statistics_are_given(run, imported, home, archive):
  command = ('import-torch', '--checkpoint=teacher.pth', '--model=resnet8', '--out=bare')
  done = run(*command, '--mean=0.5,0.5,0.5', '--std=0.2,0.2,0.2', '--crop_ratio=0.9')
  assert done.returncode == 0, done.stderr
  found = card(home / 'bare')['dataset']
  assert (found['std'], found['crop_ratio']) == ([0.2] * 3, 0.9)
  named = run(
    'evaluate',
    '--bundle=bare',
    '--data=cifar100',
    f'--archive={archive}',
    '--noverify',
    '--data_dir=tfds',
    '--crop_ratio=1',
  )
  assert named.returncode == 0, named.stderr


@pytest.fixture
def given(monkeypatch):
  """Return a function that sets flags of the import of a network."""

  def given(model, **values):
    absent = dict.fromkeys(('image_size', 'mean', 'std', 'crop_ratio'))
    monkeypatch.setattr(
      import_torch, 'FLAGS', types.SimpleNamespace(**{**absent, 'model': model, **values})
    )
    return types.SimpleNamespace(model=models.create(model, num_classes=100))

  return given


@pytest.mark.parametrize(
  'model',
  ['resnet18_imagenet', 'vit_tiny_patch16_224', 'convnext_atto', 'mobilenetv3_small_050']
  + ['tf_efficientnet_b0', 'efficientnet_lite0', 'MobileNetV2_TinyImageNet'],
)
def test_only_networks_of_cifar_have_its_images_by_default(model, given):
  import_torch._check_images(given('resnet8x4*0.5'))
  says = f"which images '{model}' was trained on; give"
  with pytest.raises(UserError, match=f'{says} --image_size and --mean and --std; or give --data'):
    import_torch._check_images(given(model))
  with pytest.raises(UserError, match=f'{says} --std; or'):
    import_torch._check_images(given(model, image_size=224, mean=['0.5']))
  import_torch._check_images(given(model, image_size=224, mean=['0.5'], std=['0.5']))


def test_what_does_not_fit_whole_is_tried_by_its_largest_part():
  weights = {f'model.{name}': np.zeros(1) for name in 'abc'}
  checkpoint = Checkpoint({**weights, 'criterion.weight': np.ones(1)}, None)

  def make(state):
    if state.keys() != wanted:
      raise UserError(f'it has {len(state)} entries')
    return 'a network'

  wanted = {*'abc'}
  made, [note] = imported_bundle.fitted(checkpoint, make)
  assert (made, note) == ('a network', "the network is 'model.'; passed over: criterion.weight")
  wanted = checkpoint.model.keys()
  assert imported_bundle.fitted(checkpoint, make) == ('a network', ())
  wanted = {'d'}
  with pytest.raises(UserError, match='it has 4 entries'):
    imported_bundle.fitted(checkpoint, make)


def test_timms_file_beside_the_weights_tells_the_images(run, home):
  name, folder = 'mobilenetv3_small_050', home / 'timm'
  folder.mkdir()
  _, variables = torch_likeness.expected(name, CLASSES)
  state = {
    torch_names.key('MobileNetV3Small', path): np.zeros(
      torch_likeness._to_torch(leaf.shape), np.float32
    )
    for path, leaf in variables.items()
  }
  state['classifier.bias'] = np.arange(CLASSES, dtype=np.float32)
  save_file(state, folder / 'model.safetensors')
  images = {'input_size': [3, 64, 64], 'crop_pct': 0.75, 'mean': [0.5] * 3, 'std': [0.25] * 3}
  content = {'architecture': name, 'label_names': list('abcd'), 'pretrained_cfg': images}
  (folder / 'config.json').write_text(json.dumps(content))
  command = ('import-torch', '--checkpoint=timm/model.safetensors', '--out=timm/bundle')
  other = run(*command, '--model=tf_mobilenetv3_small_100')
  assert other.returncode == 1 and f'give --model {name}' in other.stderr
  # One of a network that is not built in is passed over, which is said.
  (folder / 'config.json').write_text(json.dumps(content | {'architecture': 'resnet26'}))
  given = ('--image_size=64', '--mean=0.5,0.5,0.5', '--std=0.25,0.25,0.25')
  done = run(*command, f'--model={name}', *given)
  assert done.returncode == 0, done.stderr
  assert "config.json beside the file is passed over, as it is of 'resnet26'\n" in done.stdout
  shutil.rmtree(folder / 'bundle')
  (folder / 'config.json').write_text(json.dumps(content))
  done = run(*command, f'--model={name}')
  assert done.returncode == 0, done.stderr
  assert 'images of 64x64, cut from 0.75 of their shorter side\n' in done.stdout
  assert 'those of config.json beside the file\n' in done.stdout
  found = card(folder / 'bundle')['dataset']
  assert (found['image_shape'], found['crop_ratio']) == ([64, 64, 3], 0.75)
  assert (found['mean'], found['std'], found['class_names']) == (
    [0.5] * 3,
    [0.25] * 3,
    list('abcd'),
  )
  # So it does of data on which the network is evaluated, unless they have other classes.
  for split, label, number in itertools.product(('train', 'test'), 'abcd', range(2)):
    path = folder / 'photos' / split / label / f'{number}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    level = 60 * 'abcd'.index(label) + 20 * number + 5 * (split == 'test')
    Image.new('RGB', (90, 90), (level, 0, 0)).save(path)
  shutil.rmtree(folder / 'bundle')
  done = run(*command, f'--model={name}', '--data=image_folder', '--archive=timm/photos')
  assert done.returncode == 0, done.stderr
  again = card(folder / 'bundle')['dataset']
  assert again['format'] == 'image_folder' and again['image_size'] == 64
  for entry in ('image_shape', 'crop_ratio', 'mean', 'std', 'class_names'):
    assert again[entry] == found[entry]
  content['label_names'] = list('dcba')
  (folder / 'config.json').write_text(json.dumps(content))
  shutil.rmtree(folder / 'bundle')
  done = run(*command, f'--model={name}', '--data=image_folder', '--archive=timm/photos')
  assert done.returncode == 0 and "another order (class 0 is 'd' and 'a')" in done.stdout
  assert card(folder / 'bundle')['dataset']['class_names'] == list('abcd')
  with np.load(folder / 'bundle' / 'variables.npz') as file:
    assert file['params/classifier/linear/bias'].tolist() == [3, 2, 1, 0]
  content['label_names'] = list('dcbe')
  (folder / 'config.json').write_text(json.dumps(content))
  done = run(*command[:2], '--out=timm/other', f'--model={name}', '--data=image_folder',
             '--archive=timm/photos')  # fmt: skip
  assert done.returncode == 1 and "other names (class 0 is 'd' and 'a')" in done.stderr
