"""Networks of timm and torchvision become teachers that need no PyTorch."""

import dataclasses
import http.client
import importlib.util
import json
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export

from pidkd_jax import models
from pidkd_jax.bundles import (
  bundle,
  timm_config,
  torch_file,
  torch_libraries,
  torch_maps,
  torch_module,
)
from pidkd_jax.bundles.preprocessing import Preprocessing
from pidkd_jax.cli import library_import
from pidkd_jax.core import atomic_folder, regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.methods.pidkd import PIDKD
from pidkd_jax.models import exported_function
from pidkd_jax.models.exported import Exported
from pidkd_jax.models.network import Network, TeacherOutputs
from tests.plain import Plain

torch = pytest.importorskip('torch')
SIZE = 32


class Small(torch.nn.Module):
  """Two strided convolutions, a block that changes in place, and a linear layer on the mean."""

  def __init__(self, classes=5, flat=False):
    super().__init__()
    self.first = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
    self.norm = torch.nn.BatchNorm2d(4)
    self.second = torch.nn.Conv2d(4, 6, 3, stride=2, padding=1)
    self.act = torch.nn.ReLU(inplace=True)
    self.extra = torch.nn.Linear(6, 6) if flat else torch.nn.Identity()
    self.fc = torch.nn.Linear(6, classes)

  def forward(self, x):
    x = self.act(self.second(self.act(self.norm(self.first(x)))))
    return self.fc(self.extra(x.mean((2, 3))))


class Block(torch.nn.Module):
  """Two convolutions around which the input goes."""

  def __init__(self, stride=1):
    super().__init__()
    self.conv1 = torch.nn.Conv2d(4, 4, 3, stride=stride, padding=1)
    self.conv2 = torch.nn.Conv2d(4, 4, 3, padding=1)

  def forward(self, x):
    way = self.conv2(torch.relu(self.conv1(x)))
    return torch.relu(way + x[..., :: x.shape[2] // way.shape[2], :: x.shape[3] // way.shape[3]])


class Staged(torch.nn.Module):
  """A stem, a stage at its resolution or at half of it, and two stages at half of the last one."""

  def __init__(self, halved):
    super().__init__()
    convolutions = (torch.nn.Conv2d(3, 4, 3, stride=2, padding=1), torch.nn.Conv2d(4, 4, 1))
    self.stem = torch.nn.Sequential(*convolutions, torch.nn.ReLU())
    self.layer1 = torch.nn.Sequential(Block(1 + halved), Block())
    self.layer2, self.layer3 = Block(2), Block(2)
    self.fc = torch.nn.Linear(4, 5)

  def forward(self, x):
    x = self.layer3(self.layer2(self.layer1(self.stem(x))))
    return self.fc(x.mean((2, 3)))


class Tokens(torch.nn.Module):
  """Patches with two tokens before them; their mean is classified."""

  def __init__(self):
    super().__init__()
    self.patches = torch.nn.Conv2d(3, 7, 8, stride=8)
    self.first = torch.nn.Parameter(torch.randn(1, 2, 7))
    self.norm = torch.nn.LayerNorm(7)
    self.head = torch.nn.Linear(7, 5)

  def forward(self, x):
    tokens = self.patches(x).flatten(2).transpose(1, 2)
    tokens = self.norm(torch.cat([self.first.expand(len(x), -1, -1), tokens], 1))
    return self.head(tokens[:, 2:].mean(1))


def built(network, seed=0):
  torch.manual_seed(seed)
  return network().eval()


def images(count=2, size=SIZE):
  return np.random.default_rng(1).standard_normal((count, 3, size, size), np.float32)


@pytest.fixture(scope='module')
def small():
  if not importlib.util.find_spec('torchax'):  # The shim must be there before its import.
    pytest.skip("pip install '.[timm]'")
  module = built(Small)
  return module, torch_module.convert(module, 'small', (SIZE, SIZE, 3))


def test_the_target_is_the_map_whose_mean_the_classifier_reads():
  found = torch_maps.find(built(Small), images(), 'small')
  assert found.classifier == 'fc'
  # The activation is called twice; the second call makes the target.
  assert [(place.module, place.call) for place in found.places] == [('act', 1), ('act', 2)] + [
    ('act', 2)
  ]
  assert found.rectified


@pytest.mark.parametrize('halved', [False, True])
def test_each_stage_has_a_map_beside_the_stems(halved):
  found = torch_maps.find(built(lambda: Staged(halved)), images(), 'staged')
  *stages, target = [place.module for place in found.places]
  assert (stages, target) == (['stem', 'layer1', 'layer2', 'layer3'], 'layer3')


def test_the_target_is_the_classifiers_input_where_layers_lie_between():
  found = torch_maps.find(built(lambda: Small(flat=True)), images(), 'small')
  assert (found.places[-1].module, found.places[-1].before) == ('fc', True)
  assert found.places[-1].as_map(found.pooled).shape == (2, 6, 1, 1)
  assert not found.rectified


def test_patch_tokens_are_a_map_without_the_tokens_before_them():
  module = built(Tokens)
  found = torch_maps.find(module, images(), 'tokens')
  place = found.places[-1]
  assert (place.module, place.layout, place.grid) == ('norm', 'tokens', (4, 4))
  tokens = torch.arange(2 * 18 * 7).reshape(2, 18, 7)
  # Row 1, column 2 of the patches is token 2 + 4 + 2.
  assert (place.as_map(tokens)[1, :, 1, 2] == tokens[1, 8]).all()


def test_a_classifier_that_is_no_linear_layer_is_refused_with_its_layers():
  module = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.AdaptiveAvgPool2d(1))
  module = torch.nn.Sequential(module, torch.nn.Flatten()).eval()
  with pytest.raises(UserError, match=r'last layers are 0.0 \(Conv2d\), 0.1 \(Adapt.*, 1 \(Flat'):
    torch_maps.find(module, images(), 'it')


def test_images_that_a_network_refuses_are_said_in_one_line():
  module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(7, 5)).eval()
  with pytest.raises(UserError, match='it refuses images of 32x32: .*; give another --image_size'):
    torch_maps.find(module, images(), 'it')


def test_outputs_are_those_of_pytorch_for_any_number_of_images(small):
  module, converted = small
  assert converted.difference < 1e-6 and converted.target_shape == (8, 8, 6)
  for count in 1, 4:
    batch = images(count)
    features = converted.network.encode(jnp.asarray(batch.transpose(0, 2, 3, 1)))
    with torch.no_grad():
      first = torch.relu(module.norm(module.first(torch.from_numpy(batch))))
      target = torch.relu(module.second(first))
      logits = module(torch.from_numpy(batch)).numpy()
    assert [stage.shape for stage in features.stages] == [(count, 16, 16, 4), (count, 8, 8, 6)]
    np.testing.assert_allclose(features.stages[0], first.numpy().transpose(0, 2, 3, 1), atol=1e-5)
    np.testing.assert_allclose(features.target, target.numpy().transpose(0, 2, 3, 1), atol=1e-5)
    np.testing.assert_allclose(
      converted.network.classify(features.pooled), logits, rtol=1e-4, atol=1e-5
    )


def test_the_cost_is_counted_by_hand(small):
  spent = cost(small[1].network, (SIZE, SIZE, 3))
  # Kernel and outputs of both convolutions, and the classifier.
  assert spent.multiply_adds == 27 * 4 * 16 * 16 + 36 * 6 * 8 * 8 + 6 * 5
  # Kernels and biases, and the norm's factors; its statistics are no parameters.
  assert spent.parameters == (108 + 4) + (4 + 4) + (216 + 6) + (30 + 5)


def test_a_bundle_holds_the_function_and_nothing_of_this_machine(small, tmp_path, monkeypatch):
  network = small[1].network
  bundle.save(tmp_path / 'teacher', network, card(5))
  content = (tmp_path / 'teacher' / bundle.ENCODER).read_bytes()
  assert not re.findall(rb'[\w/.-]+\.py', content) and len(content) < 20_000
  monkeypatch.setattr(exported_function, '_FUNCTIONS', {})  # As in another process.
  loaded = bundle.load(tmp_path / 'teacher')
  x = jnp.ones((2, SIZE, SIZE, 3))
  np.testing.assert_array_equal(loaded.network.encode(x).target, network.encode(x).target)
  with pytest.raises(UserError, match='for images of 32x32x3, and these are 16x16x3'):
    loaded.network.encode(jnp.ones((2, 16, 16, 3)))


def test_an_encoder_of_another_bundle_is_refused(small, tmp_path):
  bundle.save(tmp_path / 'teacher', small[1].network, card(5))
  path = tmp_path / 'teacher' / bundle.CARD
  changed = json.loads(path.read_text())
  changed['model']['function'] = '0' * 64
  path.write_text(json.dumps(changed))
  sign(tmp_path / 'teacher')
  with pytest.raises(UserError, match='encoder.stablehlo is not the encoder that its card names'):
    bundle.load(tmp_path / 'teacher')
  (tmp_path / 'teacher' / bundle.ENCODER).unlink()
  with pytest.raises(UserError, match='encoder.stablehlo is missing'):
    bundle.load(tmp_path / 'teacher')


def test_pidkd_shares_its_classifier_and_the_student_needs_no_encoder(small, monkeypatch):
  network = small[1].network
  student = models.create('resnet8*0.25', num_classes=5)
  x = jnp.ones((2, SIZE, SIZE, 3))
  target = jax.eval_shape(network.encode, x)
  method = PIDKD(student=student, target=target, dataset=None, num_projectors=2)
  features = network.encode(x)
  outputs = TeacherOutputs(network, features, network.classify(features.pooled))
  batch = type('Batch', (), {'image': x})
  with jax.disable_jit():
    variables = jax.eval_shape(
      lambda: method.init(
        {'params': jax.random.key(0)}, batch, outputs, progress=jnp.float32(0), method='loss'
      )
    )
  deployed = jax.eval_shape(lambda v: method.deployed(v, network).variables, variables)
  assert set(deployed['params']['teacher']) == {'classifier'}
  monkeypatch.setattr(exported_function, '_FUNCTIONS', {})
  model = method.deployed(jax.tree.map(lambda s: jnp.zeros(s.shape), variables), network).model
  again = models.build(json.loads(json.dumps(models.describe(model))))
  assert (
    jax.eval_shape(again.init, jax.random.key(0), x)['params'].keys() == deployed['params'].keys()
  )


def test_it_cannot_be_trained(small):
  network = small[1].network
  with pytest.raises(UserError, match='is frozen'):
    network.model.apply(network.variables, jnp.ones((1, SIZE, SIZE, 3)), True)


def exported(function, shape, disabled=()):
  image = jax.ShapeDtypeStruct(jax_export.symbolic_shape(shape), jnp.float32)
  program = jax_export.export(jax.jit(function), disabled_checks=disabled)
  return program({'params': {}, 'buffers': {}}, image).serialize()


def harmless(variables, x):
  del variables
  return (x * 2,)


def test_a_function_that_only_computes_is_taken():
  digest = exported_function.register(exported(harmless, 'b, 8, 8, 3'))
  assert exported_function.find(digest).image_shape == (8, 8, 3)


def test_vmap_calls_it_for_one_batch_after_another():
  digest = exported_function.register(exported(harmless, 'b, 8, 8, 3'))
  images = jax.random.uniform(jax.random.key(0), (3, 2, 8, 8, 3))
  model = Exported(2, digest, target_rectified=True, multiply_adds=1)
  maps = jax.vmap(lambda one: model.apply({}, one, method='encode').target)(images)
  np.testing.assert_array_equal(maps, 2 * images)


def test_a_function_that_could_do_more_is_refused():
  def foreign(variables, x):
    del variables
    return (jax.ffi.ffi_call('callback', jax.ShapeDtypeStruct(x.shape, x.dtype))(x),)

  allowed = jax_export.DisabledSafetyCheck.custom_call('callback')
  content = exported(foreign, 'b, 8, 8, 3', (allowed,))
  with pytest.raises(ValueError, match='calls functions outside StableHLO'):
    exported_function.register(content)


@pytest.mark.parametrize(
  ('function', 'shape', 'message'),
  [
    (lambda variables, x: x.sum((1, 2)), 'b, 8, 8, 3', 'returns no maps'),
    (harmless, 'b, 8, 3', 'takes no float32 images'),
  ],
)
def test_a_function_of_other_arguments_or_results_is_refused(function, shape, message):
  with pytest.raises(ValueError, match=message):
    exported_function.register(exported(function, shape))


@pytest.mark.parametrize('content', [b'', b'\0' * 100, b'no StableHLO'])
def test_damaged_functions_are_refused(content):
  with pytest.raises(ValueError, match='no StableHLO that JAX'):
    exported_function.register(content)


def test_a_derivative_that_is_not_checked_is_refused():
  image = jax.ShapeDtypeStruct(jax_export.symbolic_shape('b, 8, 8, 3'), jnp.float32)
  program = jax_export.export(jax.jit(harmless))({'params': {}, 'buffers': {}}, image)
  with pytest.raises(ValueError, match='its encoder has a derivative'):
    exported_function.register(program.serialize(vjp_order=1))


def card(classes):
  names = [f'c{i}' for i in range(classes)]
  dataset = {'name': None, 'class_names': names, 'image_shape': [SIZE, SIZE, 3]}
  return {'dataset': dataset | {'mean': [0.5] * 3, 'std': [0.25] * 3}}


def sign(folder):
  names = (bundle.VARIABLES, bundle.CARD, bundle.ENCODER)
  manifest = {name: regular_file.sha256(folder / name) for name in names}
  atomic_folder.write_json(folder / atomic_folder.MANIFEST, manifest)


@pytest.fixture(scope='module')
def timm():
  pytest.importorskip('huggingface_hub')
  if not importlib.util.find_spec('timm'):
    pytest.skip("pip install '.[timm]'")
  return torch_libraries.LIBRARIES['timm']


def state(timm, classes):
  torch.manual_seed(0)
  module = timm.create('test_resnet', classes, None, pretrained=False)
  return module, {key: value.numpy() for key, value in module.state_dict().items()}


def test_the_classes_are_those_of_the_checkpoint(timm):
  module, weights = state(timm, 7)
  made, notes = torch_module.with_weights(timm, 'test_resnet', weights, None)
  x = torch.from_numpy(images(1, 64))
  with torch.no_grad():
    assert torch.equal(made(x), module(x)) and made(x).shape == (1, 7)
  assert notes == [] and timm.class_names('test_resnet', made, 7) is None
  whole = timm.create('test_resnet', None, None, pretrained=False)
  names = timm.class_names('test_resnet', whole, 1000)
  assert names[1].startswith('goldfish') and len({*names}) == 1000
  assert (names[134], names[517]) == ('crane (n02012849)', 'crane (n03126707)')


def test_checkpoints_that_do_not_fit_are_refused(timm):
  _, weights = state(timm, 7)
  odd = {key: value for key, value in weights.items() if key != 'layer1.0.conv1.weight'}
  with pytest.raises(UserError, match='not of timm/test_resnet: missing: layer1.0.conv1.weight'):
    torch_module.with_weights(timm, 'test_resnet', odd, None)
  broken = weights | {'fc.bias': np.full(7, np.nan, np.float32)}
  with pytest.raises(UserError, match='not finite, in fc.bias'):
    torch_module.with_weights(timm, 'test_resnet', broken, None)


@pytest.fixture(scope='module')
def torchvision():
  if not importlib.util.find_spec('torchvision'):
    pytest.skip("pip install '.[timm]'")
  return torch_libraries.LIBRARIES['torchvision']


def test_networks_that_change_their_images_do_so_without_a_download(torchvision):
  for name in ('googlenet', 'resnet18'):
    module = torchvision.create(name, 3, None, pretrained=False)
    assert getattr(module, 'transform_input', None) is (True if name == 'googlenet' else None)


def test_torchvisions_own_file_of_a_densenet_is_taken(torchvision):
  module = torchvision.create('densenet121', None, None, pretrained=False)
  old = re.compile(r'(denselayer\d+\.(?:norm|conv))([12])\.')
  state = {old.sub(r'\1.\2.', key): value.numpy() for key, value in module.state_dict().items()}
  assert state.keys() != module.state_dict().keys()
  _, [note] = torch_module.with_weights(torchvision, 'densenet121', state, None)
  assert note == 'torchvision adapted the checkpoint to this network'


def test_an_unknown_name_has_the_nearest(timm):
  with pytest.raises(
    UserError, match="unknown network of timm 'resnet19'; did you mean 'resnet18'"
  ):
    timm.check('resnet19')
  with pytest.raises(UserError, match="unknown weights of timm/resnet18 'none'; .*a1_in1k"):
    timm.check('resnet18.none')


def test_without_a_network_it_says_what_to_fetch(timm, monkeypatch):
  def fail(name, **arguments):
    raise ConnectionError('no route to host')

  monkeypatch.setattr(timm, 'make', fail)
  with pytest.raises(UserError, match=r'no route to host\); fetch https://huggingface.co/timm/res'):
    timm.create('resnet18', None, None, pretrained=True)


def test_a_failure_that_is_no_download_is_not_called_one(timm, monkeypatch):
  def fail_with(error):
    raise error

  monkeypatch.setattr(timm, 'make', lambda name, **given: fail_with(ValueError('it takes 224')))
  with pytest.raises(UserError) as error:
    timm.create('resnet18', None, 384, pretrained=True)
  assert str(error.value) == (
    'timm/resnet18 cannot be made: it takes 224; leave out --image_size, or give another'
  )
  of_the_hub = type('ConnectError', (Exception,), {'__module__': 'httpx'})
  monkeypatch.setattr(timm, 'make', lambda name, **given: fail_with(of_the_hub('no route')))
  with pytest.raises(UserError, match='could not be fetched'):
    timm.create('resnet18', None, None, pretrained=True)
  # What PyTorch, Python and safetensors say of a file that did not arrive whole.
  damaged = type('SafetensorError', (Exception,), {'__module__': 'safetensors._safetensors_rust'})
  for error in (
    RuntimeError('invalid hash value (expected "f37072fd")'),
    http.client.IncompleteRead(b'', 9),
    damaged('incomplete'),
  ):
    monkeypatch.setattr(timm, 'make', lambda name, error=error, **given: fail_with(error))
    with pytest.raises(UserError, match='could not be fetched'):
      timm.create('resnet18', None, 384, pretrained=True)


@pytest.mark.parametrize(('given', 'ratio'), [(None, 0.75), (0.5, 0.5)])
def test_data_are_scaled_and_cut_as_the_card_says(flags, monkeypatch, tmp_path, given, ratio):
  loaded = {}

  def load(**arguments):
    loaded.update(arguments)
    raise UserError('enough')

  library = types.SimpleNamespace(
    title='timm',
    check=lambda name: None,
    create=lambda *arguments, **named: None,
    pretrained=lambda name: ({}, 'an address'),
    preprocessing=lambda name, module: Preprocessing(
      (16, 16, 3), Normalisation((0.5,) * 3, (0.25,) * 3), 0.75
    ),
  )
  of_file = {'checkpoint': '', 'key': '', 'prefix': ''}
  flags(**of_file, pretrained=True, teacher='', image_size=None, data='mine', crop_ratio=given)
  monkeypatch.setattr(library_import.imported_bundle, 'place', lambda: tmp_path / 'out')
  monkeypatch.setattr(library_import.data_flags, 'load', load)
  with pytest.raises(UserError, match='enough'):
    library_import.main(library, 'any')
  assert loaded == {'image_size': 16, 'crop_ratio': ratio}


HALF = (0.5,) * 3


@pytest.fixture
def imported(flags, monkeypatch, tmp_path):
  """Return a function that imports 'timm/any' for data of three classes; all else is faked.

  It returns the card's entries on the data, and the notes.
  """
  own = Preprocessing((32, 32, 3), Normalisation(HALF, HALF), 0.875, 'bicubic')
  classifier = {'kernel': np.zeros((7, 3)), 'bias': np.arange(3.0)}
  network = Network({'params': {'classifier': {'linear': classifier}}}, Plain(3))
  place = types.SimpleNamespace(module='fc', before=False)
  spec = types.SimpleNamespace(name='mine', image_shape=(32, 32, 3), num_classes=3)
  spec.class_names = ('ant', 'cat', 'zebra')
  written = []

  def run(config=None, names=None, **given):
    spec.image_shape = config.preprocessing.image_shape if config else own.image_shape
    usual = {'checkpoint': 'x.pth', 'key': '', 'prefix': '', 'pretrained': False, 'teacher': ''}
    absent = {'image_size': None, 'crop_ratio': None, 'mean': None, 'std': None, 'class_names': ''}
    flags(**{**usual, **absent, 'data': 'mine', **given})
    library = types.SimpleNamespace(
      title='timm',
      check=lambda name: None,
      config=lambda name, path: config,
      preprocessing=lambda name, module: own,
      class_names=lambda name, module, count: names,
    )
    library_import.main(library, 'any')
    _, network, entries, _, notes, _ = written.pop()
    run.bias = network.variables['params']['classifier']['linear']['bias'].tolist()
    return entries, notes

  converted = torch_module.Converted(network, 0.0, (place,), (1, 1, 3))
  checkpoint = torch_file.Checkpoint({}, None)
  for module, fakes in {
    torch_file: {'read': lambda *given: checkpoint},
    torch_module: {
      'with_weights': lambda *given: (None, []),
      'convert': lambda *given: converted,
    },
    bundle: {'dataset_card': lambda spec, normalisation: {'class_names': spec.class_names}},
    library_import.data_flags: {
      'load': lambda **given: types.SimpleNamespace(spec=spec),
      'given_flags': lambda *names: '',
    },
    library_import.imported_bundle: {
      'place': lambda: tmp_path / 'out',
      'origin': lambda path: {},
      'write': lambda *given: written.append(given),
    },
  }.items():
    for name, fake in fakes.items():
      monkeypatch.setattr(module, name, fake)
  return run


IMAGES = Preprocessing((64, 64, 3), Normalisation(HALF, (0.25,) * 3), 1.0, 'bicubic')
TUNED = timm_config.TimmConfig('any', IMAGES, None, 3)


def test_timms_file_goes_before_the_library(imported):
  entries, notes = imported(TUNED, data='')
  assert (entries['image_shape'], entries['crop_ratio']) == ((64, 64, 3), 1.0)
  assert entries['std'] == (0.25,) * 3
  assert 'size, crop, mean and std are those of config.json beside the file' in notes
  named = dataclasses.replace(TUNED, class_names=('zebra', 'ant', 'cat'))
  assert imported(named, data='')[0]['class_names'] == named.class_names
  entries, notes = imported(data='')
  assert (entries['image_shape'], entries['crop_ratio']) == ((32, 32, 3), 0.875)
  assert 'size, crop, mean and std are those of timm/any' in notes


def test_classes_in_another_order_are_put_into_that_of_the_data(imported, tmp_path):
  (tmp_path / 'names').write_text('zebra\nant\ncat\n')
  wanted = {'class_names': ('ant', 'cat', 'zebra')}
  order = " and mine: they have another order (class 0 is 'zebra' and 'ant'); its classes were put"
  entries, notes = imported(class_names=str(tmp_path / 'names'))
  assert (entries | wanted, imported.bias) == (entries, [1, 2, 0])
  assert any(note.startswith('--class_names') and order in note for note in notes)
  named = dataclasses.replace(TUNED, class_names=('zebra', 'ant', 'cat'))
  for given in ({'config': named}, {'names': ['zebra', 'ant', 'cat']}):
    entries, notes = imported(**given)
    assert (entries | wanted, imported.bias) == (entries, [1, 2, 0])
    assert any(order in note for note in notes)
  # The user's go before those of the file.
  (tmp_path / 'names').write_text('ant\ncat\nzebra\n')
  entries, notes = imported(named, class_names=str(tmp_path / 'names'))
  assert (entries | wanted, imported.bias) == (entries, [0, 1, 2])
  assert not any('order' in note for note in notes)


def test_class_names_that_contradict_the_data_are_refused(imported, tmp_path):
  (tmp_path / 'names').write_text('zebra\nbee\ncat\n')
  says = r"mine do not have the same classes: they have other names \(class 0 is 'zebra' and 'ant'"
  with pytest.raises(UserError, match=f'^--class_names .*names. and {says}'):
    imported(class_names=str(tmp_path / 'names'))
  named = dataclasses.replace(TUNED, class_names=('zebra', 'bee', 'cat'))
  with pytest.raises(UserError, match=f'^config.json beside the file and {says}'):
    imported(named)


def test_names_of_the_library_give_way_to_those_of_the_data(imported):
  entries, notes = imported(names=('goldfish', 'tench', 'cock'))
  assert entries['class_names'] == ('ant', 'cat', 'zebra')
  assert any("took the place of timm/any's: they have other names" in note for note in notes)
  _, notes = imported(names=('ant', 'cat', 'zebra'))
  assert not any('took the place' in note for note in notes)


def test_other_pixels_than_those_of_the_library_are_said(imported):
  _, notes = imported()
  assert any(note.startswith('it was evaluated with bicubic interpolation') for note in notes)
  assert not any('WARNING' in note for note in notes)
  for crop_mode, how in ('squash', 'squashed whole images'), ('border', 'filled images up'):
    images = dataclasses.replace(IMAGES, interpolation='bilinear', crop_mode=crop_mode)
    _, notes = imported(dataclasses.replace(TUNED, preprocessing=images))
    assert any(note.startswith(f'WARNING: its evaluation {how}') for note in notes)
    assert not any('interpolation' in note for note in notes)


def test_timms_own_settings_and_its_file_are_read(timm, tmp_path):
  module = types.SimpleNamespace(pretrained_cfg={'crop_mode': 'squash'})
  known = timm.preprocessing('test_resnet', module)
  assert (known.interpolation, known.crop_mode) == ('bicubic', 'squash')
  images = {'input_size': [3, 64, 64], 'mean': HALF, 'std': HALF}
  content = {'architecture': 'test_resnet', 'pretrained_cfg': images}
  (tmp_path / 'config.json').write_text(json.dumps(content))
  path = tmp_path / 'model.safetensors'
  assert timm.config('test_resnet.r160_in1k', path).preprocessing.image_shape == (64, 64, 3)
  assert timm.config('test_vit', path) is None
  assert torch_libraries.LIBRARIES['torchvision'].config('test_resnet', path) is None


def test_random_weights_are_refused(timm, flags):
  flags(model='timm/test_resnet', checkpoint='', pretrained=False)
  with pytest.raises(UserError, match='random ones teach nothing; give either --checkpoint, or'):
    library_import.main(timm, 'test_resnet')


@pytest.mark.parametrize('given', ['key', 'prefix'])
def test_downloaded_weights_have_no_entries_to_name(timm, flags, given):
  flags(
    **{'checkpoint': '', 'pretrained': True, 'teacher': '', 'key': '', 'prefix': '', given: 'x'}
  )
  with pytest.raises(UserError, match='are of a --checkpoint; leave them out with --pretrained'):
    library_import.main(timm, 'test_resnet')


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('ant\nbee\n', 'has 2 names, and .* 3 cl'),
    ('ant\nbee\nant\n', "has 'ant' more than once"),
    (None, 'cannot be read'),
  ],
)
def test_a_file_of_class_names_has_one_for_each_class(flags, tmp_path, text, message):
  if text:
    (tmp_path / 'names').write_text(text)
  flags(class_names=str(tmp_path / 'names'))
  with pytest.raises(UserError, match=message):
    library_import._class_names(3)


@pytest.fixture
def flags(monkeypatch):
  return lambda **values: monkeypatch.setattr(
    library_import, 'FLAGS', types.SimpleNamespace(**values)
  )
