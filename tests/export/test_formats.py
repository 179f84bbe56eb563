"""Each format's file runs by itself and agrees with its bundle."""

import dataclasses
import importlib.util
import json
import os
import pathlib
import re
import runpy
import subprocess
import sys
import tomllib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import pidkd_jax as kd
from pidkd_jax import export
from pidkd_jax.bundles import bundle
from pidkd_jax.core import extras
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.evaluation import inference
from pidkd_jax.export import example, export_folder, verification
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.exported import Exported
from pidkd_jax.models.network import Network
from pidkd_jax.models.resnet import ResNet
from tests.plain import Plain

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHAPE = (8, 8, 3)
MEAN, STD = [0.5, 0.4, 0.3], [0.3, 0.2, 0.1]
CARD = {
  'dataset': {
    'name': 'toy',
    'class_names': ['ant', 'bee', 'cat'],
    'image_shape': list(SHAPE),
    'mean': MEAN,
    'std': STD,
  }
}


def arrays(size, seed):
  random = np.random.default_rng(seed)
  images = random.integers(0, 256, (size, *SHAPE)).astype(np.uint8)
  return ResidentSplit(images, random.integers(0, 3, size).astype(np.int32))


TEST = arrays(20, 0)


@pytest.fixture(scope='module')
def loaded(fill, tmp_path_factory):
  """A student of two projectors, with convolutions that have Winograd's formulation."""
  student, teacher = (ResNet(num_classes=3, depth=8, widths=(4, 4, 8, w)) for w in (8, 12))
  model = Distilled(
    num_classes=3,
    student=student,
    teacher=teacher,
    num_projectors=2,
    hidden=32,
    integration='learned',
    target=(2, 2, 12),
    target_rectified=True,
  )
  network = Network(
    fill(jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, *SHAPE)))), model
  )
  folder = tmp_path_factory.mktemp('bundles') / 'student'
  bundle.save(folder, network, CARD)
  return bundle.load(folder)


@pytest.fixture(scope='module')
def expected(loaded):
  return inference.logits(loaded.network, inference.eval_batches(TEST, Normalisation(MEAN, STD)))


@pytest.fixture(scope='module')
def exported(loaded, expected, tmp_path_factory):
  """A function that exports once and returns the folder and the card's entry."""
  made = {}

  def exported(name, uint8):
    for module in export.formats()[name].modules:
      pytest.importorskip(module)
    if (name, uint8) not in made:
      folder = tmp_path_factory.mktemp('exports') / name
      deployable = export.Deployable(loaded, uint8, arrays(64, 1).images, LAYOUT_OF[name])
      made[name, uint8] = folder, export.export(deployable, name, folder, TEST, expected, 20)
    return made[name, uint8]

  return exported


# Families' files, of another test, have the other layout.
LAYOUT_OF = {'onnx': 'nchw', 'onnx_int8': 'nhwc', 'stablehlo': 'nchw', 'weights': 'nhwc'}
CASES = [('onnx', True), ('onnx_int8', False), ('stablehlo', True), ('weights', False)]


def test_every_format_is_tried():
  assert {name for name, _ in CASES} == set(export.names())


@pytest.mark.parametrize(('name', 'uint8'), CASES)
def test_the_example_alone_agrees_with_the_bundle(exported, expected, name, uint8):
  """Run it in a process of its own, from the folder alone."""
  folder, facts = exported(name, uint8)
  environment = {**os.environ, 'PYTHONPATH': str(ROOT) if name == 'weights' else ''}
  done = subprocess.run(
    [sys.executable, 'example.py'], cwd=folder, capture_output=True, text=True, env=environment
  )
  assert done.returncode == 0, done.stderr
  chances = {line.split()[1]: float(line.split()[0]) for line in done.stdout.splitlines()}
  wanted = jax.nn.softmax(expected[0])
  found = [chances[one] for one in CARD['dataset']['class_names']]
  np.testing.assert_allclose(found, wanted, atol=0.1 if name == 'onnx_int8' else 1e-3)
  assert facts['input']['dtype'] == ('uint8' if uint8 else 'float32')
  layout = facts['input']['layout']
  assert layout == LAYOUT_OF[name]
  assert facts['input']['shape'] == [None, *((3, 8, 8) if layout == 'nchw' else (8, 8, 3))]


def test_the_example_of_weights_imports_a_network_of_ones_own(fill, tmp_path):
  pytest.importorskip('safetensors')
  model = Plain(num_classes=3)
  shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, *SHAPE)))
  bundle.save(tmp_path / 'bundle', Network(fill(shapes), model), CARD)
  own = bundle.load(tmp_path / 'bundle', [Plain])
  logits = inference.logits(own.network, inference.eval_batches(TEST, own.normalisation))
  folder = tmp_path / 'weights'
  deployable = export.Deployable(own, False, TEST.images)
  export.export(deployable, 'weights', folder, TEST, logits, 1)
  done = subprocess.run(
    [sys.executable, 'example.py'],
    cwd=folder,
    capture_output=True,
    text=True,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
  )
  assert done.returncode == 0, done.stderr
  likeliest = CARD['dataset']['class_names'][int(logits[0].argmax())]
  assert done.stdout.splitlines()[0].split()[1] == likeliest


def test_integers_are_smaller_and_the_card_has_their_loss(exported):
  _, exact = exported('onnx', True)
  folder, integers = exported('onnx_int8', False)
  assert integers['bytes'] < exact['bytes']
  assert integers['verification']['largest_difference'] > verification.TOLERANCE
  assert json.loads((folder / 'card.json').read_text())['export'] == integers


def test_integers_are_added_without_loss(loaded, tmp_path):
  """Try pairs of large products, which kernels that add in 16 bits would saturate.

  Such kernels run on processors without VNNI, where maps are unsigned.
  """
  for module in export.formats()['onnx_int8'].modules:
    pytest.importorskip(module)
  import onnxruntime

  def large(path, leaf):
    kernel = getattr(path[-1], 'key', '') == 'kernel'
    return jnp.abs(leaf).mean() * (1 + 0.01 * jnp.sign(leaf)) if kernel else leaf

  variables = jax.tree.map_with_path(large, loaded.network.variables)
  network = loaded.network.replace(variables=variables)
  images = arrays(64, 1).images
  deployable = export.Deployable(dataclasses.replace(loaded, network=network), True, images)
  export.formats()['onnx_int8'].write(deployable, tmp_path / 'model.onnx')
  levels, found = onnxruntime.GraphOptimizationLevel, []
  # Without optimisation the rounded numbers are multiplied and added as floats.
  for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(
      tmp_path / 'model.onnx', options, providers=['CPUExecutionProvider']
    )
    found += session.run(['logits'], {'images': images})
  exact, fast = found
  np.testing.assert_allclose(fast, exact, atol=0.02 * np.ptp(exact))


def test_one_artefact_is_for_all_platforms_and_chooses_there(exported):
  folder, _ = exported('stablehlo', True)
  artefact = jax.export.deserialize(bytearray((folder / 'model.stablehlo').read_bytes()))
  assert artefact.platforms == ('cpu', 'cuda', 'tpu')
  # Each projector's 3x3 convolution by Winograd's formulation, as one branch of a choice.
  text = artefact.mlir_module()
  chosen = re.findall(r'"stablehlo.case"\(%\w+\) \(\{\s+%\w+ = func.call @winograd', text)
  assert len(chosen) == text.count('call @winograd') == 2


def test_a_converter_sees_convolutions(exported):
  folder, _ = exported('onnx', True)
  model = pytest.importorskip('onnx').load(folder / 'model.onnx')
  [taken] = model.graph.input
  assert [axis.dim_value for axis in taken.type.tensor_type.shape.dim[1:]] == [3, 8, 8]
  kinds = [node.op_type for node in model.graph.node]
  # 9 of the student, 2 of them shortcuts; 1 + 2 + 2 of the projectors.
  assert kinds.count('Conv') == 9 + 5 and 'MatMul' not in kinds
  assert 'BatchNormalization' not in kinds


def test_weights_are_the_fused_ones(exported, loaded):
  folder, _ = exported('weights', False)
  held = pytest.importorskip('safetensors.numpy').load_file(folder / 'model.safetensors')
  assert not any('/norm/' in name or '/conv/' in name for name in held)
  assert 'folded/student/stem/kernel' in held
  assert 'params/teacher/classifier/linear/bias' in held
  assert 'params/projectors/integrate/logits' in held


@pytest.mark.parametrize(
  ('change', 'name', 'says'),
  [
    (lambda logits: logits + 2e-4, 'weights', 'differ by 0.0002'),
    (lambda logits: logits[:, ::-1], 'weights', 'is not kept'),
    (lambda logits: logits * np.nan, 'weights', 'differ by nan'),
  ],
)
def test_a_file_that_differs_is_refused(loaded, expected, tmp_path, change, name, says):
  pytest.importorskip('safetensors')
  deployable = export.Deployable(loaded, False, TEST.images)
  with pytest.raises(UserError, match=says):
    export.export(deployable, name, tmp_path / 'a' / 'b', TEST, change(expected), 1)
  assert not list(tmp_path.iterdir())


def test_a_trained_network_is_exported_by_one_call(exported, loaded, tmp_path):
  _, facts = exported('weights', False)
  data = kd.data.from_arrays(
    (TEST.images, TEST.labels), (TEST.images, TEST.labels), class_names=['ant', 'bee', 'cat']
  )
  found = kd.export.export_network(kd.TrainedNetwork(loaded), data, 'weights', tmp_path / 'out')
  assert found == facts and (tmp_path / 'out' / facts['file']).is_file()
  train = arrays(600, 1)
  calibration = export.Deployable.create(loaded, train, uint8=True).calibration
  assert calibration.shape == (512, *SHAPE)
  assert {image.tobytes() for image in calibration} <= {image.tobytes() for image in train.images}


def test_data_of_another_form_are_refused_before_any_work(loaded, tmp_path):
  network, labels = kd.TrainedNetwork(loaded), TEST.labels
  height, width, channels = SHAPE
  for images, classes in (
    (TEST.images, 'abcd'),
    (np.zeros((len(labels), height + 8, width, channels), np.uint8), 'abc'),
  ):
    found = np.arange(len(labels)) % len(classes)
    data = kd.data.from_arrays((images, found), (images, found), class_names=classes)
    with pytest.raises(
      UserError, match='the network is for images of .* give the data that it was'
    ):
      kd.export.export_network(network, data, 'weights', tmp_path / 'out')
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ('names', 'facts', 'says'),
  [
    (['bee', 'ant', 'cat'], {}, "they have another order (class 0 is 'ant' and 'bee')"),
    (['ant', 'bee', 'dog'], {}, "they have other names (class 2 is 'cat' and 'dog')"),
    (['ant', 'bee', 'cat'], {'format': '', 'fingerprint': 'f' * 64}, 'not ffffffff...)'),
  ],
)
def test_other_classes_and_other_images_are_refused(loaded, tmp_path, names, facts, says):
  entries = {**loaded.card['dataset'], **facts}
  known = dataclasses.replace(loaded, card={**loaded.card, 'dataset': entries})
  pair = TEST.images, TEST.labels
  data = kd.data.from_arrays(pair, pair, class_names=names)
  with pytest.raises(UserError, match=re.escape(says)) as error:
    kd.export.export_network(kd.TrainedNetwork(known), data, 'weights', tmp_path / 'out')
  assert str(error.value).endswith('give the data that it was trained on')


@pytest.mark.parametrize('channels', [2, 4, 5])
def test_images_that_pillow_does_not_know_are_an_array(tmp_path, channels):
  images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, channels), np.uint8)
  path = tmp_path / example.image_name(channels)
  export_folder._save_image(ResidentSplit(images, np.zeros(2, np.int32)), path)
  script = example.script(export.formats()['weights'], 'nchw', channels=channels)
  assert 'PIL' not in script and f"HERE / '{path.name}'" in script
  (tmp_path / 'example.py').write_text(script)
  facts = {
    'dataset': {'image_shape': [8, 8, channels]},
    'export': {'input': {'dtype': 'uint8'}},
  }
  (tmp_path / 'card.json').write_text(json.dumps(facts))
  preprocess = runpy.run_path(str(tmp_path / 'example.py'), run_name='example')['preprocess']
  np.testing.assert_array_equal(preprocess(path), images[:1].transpose(0, 3, 1, 2))


def test_a_teacher_of_larger_images_is_verified_on_these(loaded, tmp_path):
  entries = {**loaded.card['dataset'], 'image_shape': [16, 16, 3]}
  large = dataclasses.replace(loaded, card={**loaded.card, 'dataset': entries})
  images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)
  pair = images, np.arange(12) % 3
  names = CARD['dataset']['class_names']
  data = kd.data.from_arrays(pair, pair, class_names=names, image_size=8, teacher_size=16)
  place = tmp_path / 'out'
  found = kd.export.export_network(kd.TrainedNetwork(large), data, 'weights', place)
  assert found['verification']['images'] == 12
  assert Image.open(place / 'example.png').size == (16, 16)


def test_weights_are_verified_in_exact_float32(tmp_path, monkeypatch):
  """On GPUs, JAX's default would differ from the bundle by more than is allowed."""
  safetensors = pytest.importorskip('safetensors.numpy')
  safetensors.save_file({'params/x': np.zeros(1, np.float32)}, tmp_path / 'file')
  precisions = []

  def encode(network, images):
    precisions.append(jax.config.jax_default_matmul_precision)
    return types.SimpleNamespace(pooled=images)

  monkeypatch.setattr(Network, 'encode', encode)
  monkeypatch.setattr(Network, 'classify', lambda network, pooled: pooled)
  held = types.SimpleNamespace(network=types.SimpleNamespace(model=ResNet(3, 8, (4, 4, 4, 4))))
  format_ = export.formats()['weights']
  format_.load(tmp_path / 'file', types.SimpleNamespace(bundle=held))(np.zeros((1, 2)))
  assert precisions == ['highest']
  assert "default_matmul_precision('highest')" in format_.example


@pytest.mark.parametrize('name', export.names())
def test_an_imported_network_is_for_stablehlo_alone(loaded, name):
  """The other formats cannot look into its encoder, or hold none."""
  teacher = Network({}, Exported(3, 'a' * 64, True, 1))
  imported = dataclasses.replace(loaded, network=teacher)
  student = dataclasses.replace(
    loaded, network=Network({}, loaded.network.model.clone(teacher=teacher.model))
  )
  export.check_network(name, student)
  if name == 'stablehlo':
    export.check_network(name, imported)
  else:
    message = f'cannot be written as {name}; export it as stablehlo, or from PyTorch'
    with pytest.raises(UserError, match=message):
      export.check_network(name, imported)


def test_other_folders_are_not_replaced(tmp_path):
  (tmp_path / 'weights').mkdir()
  (tmp_path / 'weights' / 'thesis.txt').write_text('years')
  with pytest.raises(UserError, match='holds no export'):
    export.check('weights', tmp_path / 'weights', False)


def test_a_missing_extra_is_named(monkeypatch, tmp_path):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UserError, match=r"needs jax2onnx, onnx.*pip install 'pidkd_jax\[onnx\]'"):
    export.check('onnx', tmp_path / 'onnx', False)


def test_what_asks_for_an_old_orbax_is_installed_alone():
  _, converter = extras.BARE['jax2onnx']
  command = f"pip install --no-deps '{converter}'"
  assert extras.command(*export.formats()['onnx'].modules).endswith(f"[onnx]' && {command}")
  listed = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['optional-dependencies']
  assert not [one for extra in listed.values() for one in extra if one.startswith('jax2onnx')]
  # The same version everywhere.
  assert f'--no-deps {converter}\n' in (ROOT / 'Makefile').read_text()
  assert command in (ROOT / 'docs/how-to/deploy.md').read_text()


def test_a_layout_is_of_what_computes(tmp_path):
  pytest.importorskip('safetensors')
  with pytest.raises(UserError, match='has no input; leave out `layout=nchw`'):
    export.check('weights', tmp_path / 'weights', False, 'nchw')
  with pytest.raises(UserError, match="unknown layout 'NCHW'; there are: nchw, nhwc"):
    export.check('weights', tmp_path / 'weights', False, 'NCHW')
