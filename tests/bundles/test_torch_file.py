"""Files of PyTorch and of safetensors: what is found in them, and what is refused."""

import os
import pickle
import shutil
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from pidkd_jax.bundles import torch_file
from pidkd_jax.core.errors import UserError


@pytest.fixture(scope='module')
def weights(torch):
  """Return a very small state dict."""
  rng = np.random.default_rng(0)
  state = OrderedDict(
    (key, torch.from_numpy(rng.normal(size=shape).astype(np.float32)))
    for key, shape in {'conv1.weight': (4, 3, 3, 3), 'bn1.running_var': (4,)}.items()
  )
  return state | {'bn1.num_batches_tracked': torch.tensor(7)}


def assert_holds(state, weights):
  assert state.keys() == weights.keys()
  for key, value in state.items():
    assert isinstance(value, np.ndarray)
    np.testing.assert_array_equal(value, weights[key].float().numpy())


LAYOUTS = {
  'bare': lambda w: w,
  'model': lambda w: {'model': w},
  'state_dict': lambda w: {'state_dict': w},
  'parallel': lambda w: {'model': {f'module.{key}': value for key, value in w.items()}},
  'of a compiled and parallel one': lambda w: {f'_orig_mod.module.{k}': v for k, v in w.items()},
  'in a module of modules': lambda w: {'model': {f'a.b.student.{k}': v for k, v in w.items()}},
  "Lightning's": lambda w: {'epoch': 1, 'state_dict': {f'model.{k}': v for k, v in w.items()}},
  "pytorch-cifar's": lambda w: {'net': {f'module.{k}': v for k, v in w.items()}, 'acc': 93.1},
  'a name for a model': lambda w: {'model': 'resnet8', 'state_dict': w},
  'of a tutorial': lambda w: {'epoch': 1, 'model_state_dict': w, 'optimizer_state_dict': {'a': {}}},
  'nested': lambda w: {'checkpoint': {'model': {'state_dict': w}}},
  'an average': lambda w: {'epoch': 3, 'ema': w},
  'beside a tensor': lambda w: {'model': w, 'mean': w['bn1.running_var']},
  'with a number beside it': lambda w: w | {'epoch': 3},
  "AveragedModel's": lambda w: (
    {'n_averaged': w['bn1.num_batches_tracked']} | {f'module.{k}': v for k, v in w.items()}
  ),
  'with the best accuracy of numpy': lambda w: {'model': w, 'best_acc': np.float64(71.5)},
  'of single precision': lambda w: {'model': w, 'best_acc': np.float32(71.5)},
  'counted': lambda w: {'model': w, 'epoch': np.int64(240), 'best_acc': 71.5},
  'with the best accuracy of PyTorch': lambda w: {'model': w, 'best_acc': w['conv1.weight'].mean()},
}


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
@pytest.mark.parametrize('layout', LAYOUTS)
def test_reads_the_layouts_of_the_community(layout, legacy, saved, weights):
  path = saved(LAYOUTS[layout](weights), _use_new_zipfile_serialization=not legacy)
  checkpoint = torch_file.read(path)
  assert checkpoint.projector is None
  assert_holds(checkpoint.model, weights)


def test_only_a_prefix_of_all_is_left_out(saved, weights):
  state = {'module.conv1.weight': weights['conv1.weight'], 'fc.bias': weights['bn1.running_var']}
  assert torch_file.read(saved(state)).model.keys() == state.keys()


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float64'])
def test_weights_of_other_precisions_are_read(dtype, torch, saved, weights):
  state = {
    key: value.to(getattr(torch, dtype)) if value.is_floating_point() else value
    for key, value in weights.items()
  }
  arrays = torch_file.read(saved({'model': state})).model
  assert_holds(arrays, state)
  assert arrays['conv1.weight'].dtype == np.float32


def test_numbers_that_numpy_1_wrote_are_let_through(saved, weights):
  content = {'model': weights, 'best_acc': np.float64(79.4)}
  path = saved(content, _use_new_zipfile_serialization=False)
  written = path.read_bytes()
  # The name that it had there; in a pickle of protocol 2 a line of text.
  path.write_bytes(written.replace(b'numpy._core.multiarray\n', b'numpy.core.multiarray\n'))
  assert path.read_bytes() != written
  assert_holds(torch_file.read(path).model, weights)


def test_the_projector_lies_beside_the_student(saved, weights):
  projector = {'module.transfer.0.weight': 2 * weights['conv1.weight']}
  checkpoint = torch_file.read(saved({'model': weights, 'proj': projector}))
  assert_holds(checkpoint.model, weights)
  assert_holds(checkpoint.projector, {'transfer.0.weight': 2 * weights['conv1.weight']})


def test_what_is_chosen_and_passed_over_is_said(saved, weights):
  state = {f'module.{key}': value for key, value in weights.items()}
  notes = torch_file.read(saved({'model': state | {'module.size': 3}, 'ema': weights})).notes
  assert notes == (
    'there are also weights under ema; --key takes them',
    "the weights are those under 'model'",
    'passed over, as they are no tensors: module.size',
    "the prefix 'module.' of all keys is left out",
  )


def test_key_and_prefix_name_any_part(saved, weights):
  parts = {'student': weights, 'teacher': {'fc.bias': 2 * weights['bn1.running_var']}}
  state = {f'{part}.{key}': value for part in parts for key, value in parts[part].items()}
  path = saved({'best': {'ever.': state}, 'model': {'other': weights['bn1.running_var']}})
  for key, prefix, part in (
    ('best.ever.', 'student', 'student'),
    ('best.ever.', 'teacher.', 'teacher'),
  ):
    assert_holds(torch_file.read(path, key, prefix).model, parts[part])
  assert torch_file.read(path, 'best.ever.', 'student').notes[-1] == (
    '1 entries without --prefix=student passed over'
  )
  with pytest.raises(UserError, match='no key of .* begins with --prefix=x; they are other'):
    torch_file.read(path, prefix='x')
  for key in 'worst', 'best.never':
    with pytest.raises(UserError, match=f'has no entry --key={key}; its entries are best'):
      torch_file.read(path, key)


def test_numbers_beside_the_network_are_named(saved, weights):
  state = weights | {'n_averaged': weights['bn1.num_batches_tracked']}
  checkpoint = torch_file.read(saved(state))
  assert_holds(checkpoint.model, weights)
  assert checkpoint.notes == ('passed over, as they are single numbers: n_averaged',)


@pytest.mark.parametrize(
  ('name', 'what'),
  [
    ('model-00001-of-00002.safetensors', 'is one of 2 parts of a checkpoint; join them'),
    ('model.safetensors.index.json', 'lists the parts of a checkpoint; join them'),
    ('model-00001-of-00001.safetensors', 'is damaged'),
  ],
)
def test_parts_of_a_checkpoint_are_to_be_joined(name, what, tmp_path):
  pytest.importorskip('safetensors')
  (tmp_path / name).write_text('{}')
  assert what in refusal(tmp_path / name)


def test_a_tensor_that_claims_more_than_it_has_is_refused(torch, saved, weights):
  for huge in (
    torch.zeros(1).expand(10**6, 10**6),
    torch.zeros(1, dtype=torch.float16).expand(10**12),
  ):
    assert 'for which it has too few numbers' in refusal(saved(weights | {'conv1.weight': huge}))
  shared = torch.zeros(2**20, dtype=torch.float16)
  many = {f'layer{i}.weight': shared for i in range(100)}
  assert 'declares more numbers than it has' in refusal(saved(many))


def test_an_archive_that_unpacks_to_more_is_refused(torch, tmp_path):
  with zipfile.ZipFile(tmp_path / 'file.pth', 'w', zipfile.ZIP_DEFLATED) as file:
    file.writestr('archive/data.pkl', bytes(2**20))
  assert 'it declares 1,048,576 bytes' in refusal(tmp_path / 'file.pth')
  # PyTorch finds the end of an archive where Python does not look for it.
  with (tmp_path / 'file.pth').open('ab') as file:
    file.write(bytes(2**17))
  assert 'BadZipFile' in refusal(tmp_path / 'file.pth')


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_safetensors_are_read(dtype, torch, tmp_path, weights):
  save_file = pytest.importorskip('safetensors.torch').save_file
  state = {
    key: value.to(getattr(torch, dtype)) if value.is_floating_point() else value
    for key, value in weights.items()
  }
  save_file({f'module.{k}': v for k, v in state.items()}, tmp_path / 'x.safetensors')
  read = torch_file.read(tmp_path / 'x.safetensors').model
  shutil.copy(tmp_path / 'x.safetensors', tmp_path / 'x.bin')
  assert read.keys() == torch_file.read(tmp_path / 'x.bin').model.keys() == state.keys()
  np.testing.assert_array_equal(
    read['conv1.weight'].astype(np.float32), state['conv1.weight'].float().numpy()
  )
  (tmp_path / 'x.safetensors').write_bytes(b'hello')
  assert 'is damaged or no safetensors file' in refusal(tmp_path / 'x.safetensors')


def test_without_safetensors_it_says_how_to_get_it(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, 'safetensors.numpy', None)
  assert "pip install 'pidkd_jax[safetensors]'" in refusal(tmp_path / 'x.safetensors')


def refusal(path):
  with pytest.raises(UserError) as error:
    torch_file.read(path)
  assert '\n' not in str(error.value) and len(str(error.value)) < 400
  assert str(path) in str(error.value)
  return str(error.value)


class Malicious:
  """Makes a folder when it is unpickled."""

  def __init__(self, folder):
    self.folder = folder

  def __reduce__(self):
    return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize('kind', ['zip', 'legacy', 'pickle'])
def test_code_in_a_file_never_runs(kind, saved, weights, tmp_path):
  made = tmp_path / 'made'
  content = {'model': weights, 'best_acc': Malicious(made)}
  if kind == 'pickle':
    path = tmp_path / 'file.pth'
    path.write_bytes(pickle.dumps({'best_acc': Malicious(made)}, protocol=2))
  else:
    path = saved(content, _use_new_zipfile_serialization=kind == 'zip')
  text = refusal(path)
  assert f'names code ({os.mkdir.__module__}.mkdir)' in text and 'where you trust it' in text
  assert "[ENTRY], NEW), where ENTRY is 'model', 'state_dict' or another" in text
  assert not made.exists()
  # It would have run elsewhere.
  pickle.loads(pickle.dumps(Malicious(made)))
  assert made.is_dir()


def test_a_pickled_network_is_refused(networks, saved):
  """What `torch.save(model)` writes names its class, which may be anything."""
  assert 'names code (benchmarks.pytorch.networks.ResNet)' in refusal(
    saved(networks.create('resnet8', num_classes=5))
  )


DAMAGED = {
  'text': lambda content: b'# Weights\n\nSee the release page.\n',
  'empty': lambda content: b'',
  'half': lambda content: content[: len(content) // 2],
  'its first bytes': lambda content: content[:10],
  'a web page': lambda content: b'<!DOCTYPE html><html><body>404</body></html>',
}


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
@pytest.mark.parametrize('damage', DAMAGED)
def test_a_damaged_file_is_refused(damage, legacy, saved, weights):
  path = saved(weights, _use_new_zipfile_serialization=not legacy)
  path.write_bytes(DAMAGED[damage](path.read_bytes()))
  message = refusal(path)
  if damage in ('empty', 'half'):
    assert 'is damaged or no PyTorch file' in message


def test_a_missing_file_is_refused(torch, tmp_path):
  assert 'is not there' in refusal(tmp_path / 'file.pth')
  assert 'is not there' in refusal(tmp_path)


CONTENTS = {
  'a list': (lambda w: list(w.values()), 'holds a list and no state dict'),
  'a tensor': (lambda w: w['conv1.weight'], 'holds a Tensor and no state dict'),
  'a number': (lambda w: 3, 'holds a int and no state dict'),
  'nothing': (lambda w: {}, 'holds no state dict'),
  'an empty model': (lambda w: {'model': {}}, 'holds no state dict'),
  'no tensors': (lambda w: {'model': {'epoch': 3}}, 'its entries are model (epoch); --key names'),
  'weights elsewhere': (
    lambda w: {'epoch': 3, 'best': w},
    'epoch, best (conv1.weight, bn1.running',
  ),
  'a projector that is none': (lambda w: {'model': w, 'proj': [1]}, 'holds no state dict'),
}


@pytest.mark.parametrize('content', CONTENTS)
def test_a_file_without_a_state_dict_is_refused(content, saved, weights):
  make, says = CONTENTS[content]
  assert says in refusal(saved(make(weights)))


def test_keys_that_are_no_texts_are_refused(saved, weights):
  assert 'holds no state dict' in refusal(saved({0: weights['conv1.weight']}))


def test_tensors_that_are_no_arrays_are_refused(saved, weights):
  weight = weights['conv1.weight']
  for odd in (weight.to_sparse(), weight.to('meta')):
    assert 'conv1.weight is no dense tensor' in refusal(saved({'conv1.weight': odd}))


def test_parameters_are_read_as_tensors_are(torch, saved, weights):
  """As `state_dict(keep_vars=True)` returns them."""
  state = {'conv1.weight': torch.nn.Parameter(weights['conv1.weight'])}
  assert_holds(torch_file.read(saved(state)).model, {'conv1.weight': weights['conv1.weight']})


def test_without_pytorch_it_says_how_to_get_it(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, 'torch', None)
  assert "pip install 'pidkd_jax[torch]'" in refusal(tmp_path / 'file.pth')
