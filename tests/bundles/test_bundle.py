"""Bundles load as they were saved, or not at all."""

import hashlib
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from pidkd_jax.models.wrn import WRN

DATASET = {
  'name': 'toy',
  'class_names': ['a', 'b', 'c'],
  'image_shape': [8, 8, 3],
  'mean': [0.5] * 3,
  'std': [0.25] * 3,
}
CARD = {'dataset': DATASET, 'results': {'top1': 1 / 3}}
FILES = ('variables.npz', 'card.json', 'manifest.json')
README = 'README.md'


@pytest.fixture(scope='module')
def saved(teacher, tmp_path_factory):
  folder = tmp_path_factory.mktemp('bundles') / 'teacher'
  bundle.save(folder, teacher, CARD)
  return folder


@pytest.fixture
def folder(saved, tmp_path):
  """Return a copy of `saved` to damage."""
  return shutil.copytree(saved, tmp_path / 'bundle')


def refusal(folder):
  with pytest.raises(UserError) as error:
    bundle.load(folder)
  assert '\n' not in str(error.value)
  return str(error.value)


def sign(folder):
  """Make the manifest fit the files, as somebody who alters a bundle would."""
  manifest = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES[:2]}
  (folder / 'manifest.json').write_text(json.dumps(manifest))


def assert_same(network, other):
  assert network.model == other.model
  assert jax.tree.structure(network.variables) == jax.tree.structure(other.variables)

  def same(a, b):
    assert a.dtype == b.dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()

  jax.tree.map(same, network.variables, other.variables)


def test_a_network_comes_back_bit_for_bit(saved, teacher):
  loaded = bundle.load(saved)
  assert_same(loaded.network, teacher)
  assert loaded.card['results'] == CARD['results']
  assert loaded.card['dataset'] == DATASET
  assert loaded.folder == saved
  assert sorted(path.name for path in saved.iterdir()) == sorted((*FILES, README))


def test_a_type_that_numpy_has_not_is_refused_before_anything_is_written(teacher, tmp_path):
  half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), teacher.variables)
  network = teacher.replace(variables=half)
  with pytest.raises(UserError, match='is bfloat16, which a bundle cannot hold; .* param_dtype='):
    bundle.save(tmp_path / 'half', network, CARD)
  assert not list(tmp_path.iterdir())
  with pytest.raises(UserError, match='is bfloat16'):
    bundle.check(jax.eval_shape(lambda: network))  # As shapes, before a training.
  bundle.check(teacher)


@pytest.mark.parametrize('dtype', ['float8_e5m2', 'int4'])
def test_other_types_that_numpy_cannot_read_back_are_refused(teacher, dtype):
  cast = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), teacher.variables)
  with pytest.raises(UserError, match=f'is {dtype}, which a bundle cannot hold'):
    bundle.check(teacher.replace(variables=cast))


def test_a_random_key_among_the_variables_is_refused(teacher):
  keyed = {**teacher.variables, 'noise': {'key': jax.random.key(0)}}
  with pytest.raises(UserError, match='noise/key .* keep jax.random.key_data of it'):
    bundle.check(teacher.replace(variables=keyed))


def distilled(teacher, fill, rectified):
  """Return a student under a teacher's classifier, with random variables."""
  model = Distilled(
    num_classes=3,
    student=WRN(num_classes=3, depth=10, factor=1),
    teacher=teacher.model,
    num_projectors=2,
    hidden=4,
    integration='learned',
    target=(2, 2, 12),
    target_rectified=rectified,
  )
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
  return Network(fill(shapes), model)


def test_a_distilled_network_comes_back_too(teacher, fill, tmp_path):
  network = distilled(teacher, fill, rectified=True)
  bundle.save(tmp_path / 'student', network, CARD)
  assert_same(bundle.load(tmp_path / 'student').network, network)


def test_the_digest_stands_for_what_the_network_computes(saved, teacher, tmp_path):
  digests = {bundle.load(saved).digest}
  # The results are no part of a teacher's digest.
  bundle.save(tmp_path / 'same', teacher, CARD | {'results': {}})
  digests.add(bundle.load(tmp_path / 'same').digest)
  assert len(digests) == 1
  changed = jax.tree.map(lambda leaf: leaf + 1, teacher.variables)
  bundle.save(tmp_path / 'other', teacher.replace(variables=changed), CARD)
  digests.add(bundle.load(tmp_path / 'other').digest)
  for name in ('mean', 'std'):
    bundle.save(tmp_path / name, teacher, {'dataset': DATASET | {name: [0.4] * 3}})
    digests.add(bundle.load(tmp_path / name).digest)
  assert len(digests) == 4


def test_the_digest_tells_networks_of_equal_variables_apart(teacher, fill, tmp_path):
  """Whether a stack ends in a ReLU is not seen in its variables."""
  digests = set()
  for rectified in (True, False):
    network = distilled(teacher, fill, rectified)
    bundle.save(tmp_path / str(rectified), network, CARD)
    digests.add(bundle.load(tmp_path / str(rectified)).digest)
  assert len(digests) == 2


def test_saving_over_an_old_one_replaces_it_whole(folder, teacher):
  (folder / 'notes.txt').write_text('of the old one')
  part = folder.with_name('.bundle.partial')
  part.mkdir()
  (part / 'half-written').write_text('by a run that was killed')
  changed = teacher.replace(variables=jax.tree.map(lambda leaf: leaf + 1, teacher.variables))
  bundle.save(folder, changed, CARD)
  assert_same(bundle.load(folder).network, changed)
  assert sorted(path.name for path in folder.iterdir()) == sorted((*FILES, README))
  assert not part.exists()


# --- damage


def test_a_missing_folder_is_named(tmp_path):
  assert 'does not exist' in refusal(tmp_path / 'nowhere')


def test_a_half_written_bundle_is_named(folder):
  (folder / 'manifest.json').unlink()
  assert 'half-written or no bundle' in refusal(folder)


@pytest.mark.parametrize('name', FILES[:2])
def test_a_missing_file_is_named(folder, name):
  (folder / name).unlink()
  assert f'{name} is missing' in refusal(folder)


@pytest.mark.parametrize('name', FILES[:2])
def test_a_truncated_file_is_named(folder, name):
  path = folder / name
  path.write_bytes(path.read_bytes()[:-1])
  assert f'{name} is altered' in refusal(folder)


@pytest.mark.parametrize('name', FILES)
def test_any_flipped_byte_is_noticed(folder, name):
  path = folder / name
  whole = path.read_bytes()
  for place in np.linspace(0, len(whole) - 1, 40).astype(int):
    damaged = bytearray(whole)
    damaged[place] ^= 0x01
    path.write_bytes(damaged)
    refusal(folder)
  path.write_bytes(whole)
  bundle.load(folder)


@pytest.mark.parametrize('text', ['', '{', '[]', 'null', '"x"', '{}', '\xff'])
def test_a_manifest_that_is_none_is_refused(folder, text):
  (folder / 'manifest.json').write_bytes(text.encode('latin-1'))
  refusal(folder)


# --- alteration, with a manifest that fits


def rewrite_card(folder, change):
  card = json.loads((folder / 'card.json').read_text())
  card = change(card) or card
  (folder / 'card.json').write_text(json.dumps(card))
  sign(folder)


def rewrite_variables(folder, change):
  with np.load(folder / 'variables.npz') as file:
    arrays = dict(file)
  change(arrays)
  np.savez(folder / 'variables.npz', **arrays)
  sign(folder)


KEY = 'params/stem/conv/kernel'


@pytest.mark.parametrize(
  'change, named',
  [
    (lambda arrays: arrays.pop(KEY), KEY),
    (lambda arrays: arrays.update(extra=np.zeros(1)), 'extra'),
    (lambda arrays: arrays.update({KEY: arrays[KEY][..., :1]}), KEY),
    (lambda arrays: arrays.update({KEY: arrays[KEY].astype(np.float64)}), KEY),
  ],
)
def test_variables_of_another_network_are_refused(folder, change, named):
  rewrite_variables(folder, change)
  assert named in refusal(folder)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_network_that_is_not_finite_is_refused(folder, value):
  rewrite_variables(folder, lambda arrays: arrays[KEY].fill(value))
  assert f'{KEY} has values that are not finite' in refusal(folder)


def test_a_card_of_a_million_layers_builds_none(folder, monkeypatch):
  monkeypatch.setattr(models, 'build', lambda *_: pytest.fail('it built them'))
  rewrite_card(folder, lambda card: card['model'].update(depth=1_200_002))
  assert 'depth is 1200002, and there are' in refusal(folder)


def touch(path):
  """Touch a file; called from within a pickle."""
  pathlib.Path(path).touch()


class Pickled:
  """An object that runs code when it is unpickled."""

  def __init__(self, path):
    self._path = str(path)

  def __reduce__(self):
    return touch, (self._path,)


def test_nothing_is_unpickled(folder, tmp_path):
  trap = tmp_path / 'ran'

  def change(arrays):
    arrays[KEY] = np.array([Pickled(trap)], dtype=object)

  rewrite_variables(folder, change)
  refusal(folder)
  assert not trap.exists()
  # The trap works, so it is loading that avoids it.
  with np.load(folder / 'variables.npz', allow_pickle=True) as file:
    file[KEY]
  assert trap.exists()


def test_a_pickle_in_place_of_the_archive_is_refused(folder, tmp_path):
  np.array([Pickled(tmp_path / 'ran')], dtype=object).dump(folder / 'variables.npz')
  sign(folder)
  refusal(folder)
  assert not (tmp_path / 'ran').exists()


def test_a_truncated_archive_is_refused_though_the_manifest_fits(folder):
  path = folder / 'variables.npz'
  path.write_bytes(path.read_bytes()[:-100])
  sign(folder)
  refusal(folder)


def test_a_damaged_archive_gives_no_other_network_though_the_manifest_fits(folder, teacher):
  path = folder / 'variables.npz'
  whole = path.read_bytes()
  for place in np.linspace(0, len(whole) - 1, 40).astype(int):
    damaged = bytearray(whole)
    damaged[place] ^= 0xFF
    path.write_bytes(damaged)
    sign(folder)
    try:
      loaded = bundle.load(folder)
    except UserError as error:
      assert '\n' not in str(error)
    else:  # A byte of a file's date does no harm.
      assert_same(loaded.network, teacher)


@pytest.mark.parametrize(
  'family', ['os.system', 'subprocess', 'Model', 'pidkd_jax.models.resnet.ResNet', None, 3, []]
)
def test_a_card_cannot_name_code(folder, family):
  rewrite_card(folder, lambda card: card['model'].update(family=family))
  refusal(folder)


@pytest.mark.parametrize(
  'change',
  [
    lambda card: card['model'].update(colour='red'),
    lambda card: card['model'].pop('depth'),
    lambda card: card['model'].update(depth=9),
    lambda card: card['model'].update(depth='eight'),
    lambda card: card['model'].update(depth=14),
    lambda card: card['model'].update(depth=1_200_002),
    lambda card: card['model'].update(widths=[4, 4]),
    lambda card: card['model'].update(widths=4),
    lambda card: card['model'].update(num_classes=4),
    lambda card: card['model'].update(num_classes=-1),
    lambda card: card['model'].update(parent={'family': 'ResNet'}),
    lambda card: card.update(model='resnet8'),
    lambda card: card.update(model=None),
    lambda card: card.pop('model'),
    lambda card: card.pop('dataset'),
    lambda card: card.update(dataset=[]),
    lambda card: card['dataset'].pop('image_shape'),
    lambda card: card['dataset'].update(image_shape=None),
    lambda card: card['dataset'].update(image_shape=[8, 8]),
    lambda card: card['dataset'].update(image_shape='8x8'),
    lambda card: card['dataset'].update(image_shape=[60_000, 60_000, 3]),
    lambda card: card['dataset'].update(std=[1e-60] * 3),
    lambda card: card['dataset'].update(mean=[1e300] * 3),
    lambda card: card.update(network=['x']),
    lambda card: card.update(label=3),
    lambda card: card.update(training={'teacher': 3}),
    lambda card: ['not', 'a', 'card'],
  ],
)
def test_a_card_that_describes_no_network_is_refused(folder, change):
  def changed(card):
    other = change(card)
    return other if isinstance(other, list) and other[:1] == ['not'] else None

  rewrite_card(folder, changed)
  refusal(folder)
