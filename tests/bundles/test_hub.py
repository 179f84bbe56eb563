"""Bundles go to the hub and come back, and nothing else does."""

import hashlib
import json
import shutil

import jax
import numpy as np
import pytest

from pidkd_jax import models
from pidkd_jax.bundles import bundle, hub, hub_card
from pidkd_jax.cli.commands import pull, push
from pidkd_jax.core.errors import UserError
from pidkd_jax.models.network import Network
from tests.bundles.fake_hub import TOKEN, Hub
from tests.plain import Plain

library = pytest.importorskip('huggingface_hub', reason="pip install '.[hub]'")
constants = pytest.importorskip('huggingface_hub.constants')
safetensors = pytest.importorskip('safetensors.numpy', reason="pip install '.[hub]'")

OWN = models.families('tests.plain:Plain')
NAME = 'me/plain'
CARD = {
  'dataset': {
    'name': 'toy',
    'class_names': ['a', 'b', 'c'],
    'image_shape': [8, 8, 3],
    'mean': [0.5] * 3,
    'std': [0.25] * 3,
    'archive': '/home/me/secret/toy.tar',
  },
  'training': {'teacher': {'digest': 'ab', 'model': {'family': 'Plain'}, 'folder': '/home/me/t'}},
  'results': {'top1': 0.625},
}


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """Return the folder of a bundle that holds a network of the user's own."""
  model = models.create('tests.plain:Plain', num_classes=3)
  shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))
  rng = np.random.default_rng(0)
  variables = jax.tree.map(lambda x: rng.random(x.shape).astype(x.dtype), shapes)
  folder = tmp_path_factory.mktemp('bundles') / 'plain'
  bundle.save(folder, Network(variables, model), CARD)
  return folder


@pytest.fixture
def server(monkeypatch, tmp_path):
  """Return a hub of our own; the library finds it, and the token, in place of the user's."""
  monkeypatch.setenv('HF_TOKEN', TOKEN)
  monkeypatch.setattr(constants, 'HF_TOKEN_PATH', str(tmp_path / 'no-token'))
  served = Hub()
  with served.serve() as address:
    files = address + '/{repo_id}/resolve/{revision}/{filename}'
    monkeypatch.setattr(constants, 'ENDPOINT', address)
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', files)
    yield served


@pytest.fixture
def stocked(server, saved):
  """Return the hub with the bundle, and with files that no bundle has."""
  server.branches[NAME] = {'main', 'v2'}
  server.files[NAME] = {path.name: path.read_bytes() for path in saved.iterdir()} | {
    'modeling.py': b'raise SystemExit("it ran")',
    'model.pkl': b"cos\nsystem\n(S'touch /tmp/hacked'\ntR.",
    '../escape.txt': b'out',
    'sub/variables.npz': b'other',
  }
  return server


def test_a_bundle_goes_there_and_comes_back(server, saved, tmp_path):
  address = hub.push(saved, NAME, own=OWN, license='mit')
  assert address.endswith(f'/{NAME}/commit/{"0123456789" * 4}')
  assert set(server.files[NAME]) == {
    'variables.npz', 'card.json', 'manifest.json', 'README.md', 'model.safetensors',
  }  # fmt: skip
  pulled = hub.pull(NAME, tmp_path / 'a' / 'plain', own=Plain)
  assert pulled.passed_over == ('model.safetensors',)
  before, after = bundle.load(saved, OWN), bundle.load(tmp_path / 'a' / 'plain', OWN)
  assert before.digest == after.digest == pulled.bundle.digest
  assert list((tmp_path / 'a').iterdir()) == [tmp_path / 'a' / 'plain']
  arrays = safetensors.load(server.files[NAME]['model.safetensors'])
  with np.load(saved / 'variables.npz') as file:
    assert set(arrays) == set(file.files)
    for name in file.files:
      np.testing.assert_array_equal(arrays[name], file[name])


def test_what_is_published_names_no_folder_of_this_machine(server, saved):
  hub.push(saved, NAME, own='tests.plain:Plain')
  assert not any(b'/home/me' in content for content in server.files[NAME].values())
  card = json.loads(server.files[NAME]['card.json'])
  assert card['dataset']['archive'] == 'toy.tar' and card['training']['teacher']['folder'] == 't'
  assert (card['model'], card['results']) == (
    bundle.load(saved, OWN).card['model'],
    {'top1': 0.625},
  )


def test_nothing_is_published_but_the_bundle(server, saved, tmp_path):
  """A bundle of somebody else's may have links into the user's home."""
  shutil.copytree(saved, tmp_path / 'theirs')
  (tmp_path / 'key').write_text('secret')
  (tmp_path / 'theirs/encoder.stablehlo').symlink_to('../key')
  hub.push(tmp_path / 'theirs', NAME, own=OWN)
  assert 'encoder.stablehlo' not in server.files[NAME]
  (tmp_path / 'theirs/README.md').unlink()
  (tmp_path / 'theirs/README.md').symlink_to('../key')
  with pytest.raises(UserError, match=r'README.md. is a link; put the text itself there'):
    hub.push(tmp_path / 'theirs', NAME, own=OWN)
  assert b'secret' not in b''.join(server.files[NAME].values())


def test_the_front_matter_is_what_the_hub_reads(saved):
  page = hub_card.text(CARD, (saved / 'README.md').read_text(), NAME, 'mit')
  read = library.ModelCard(page)
  data = read.data
  assert (data.license, data.library_name, data.pipeline_tag) == (
    'mit', 'pidkd_jax', 'image-classification',
  )  # fmt: skip
  assert data.datasets == ['toy'] and data.metrics == ['accuracy']
  [result] = data.eval_results
  assert (result.metric_type, result.metric_value, result.dataset_split) == (
    'accuracy', 0.625, 'test',
  )  # fmt: skip
  assert 'pidkd pull me/plain THIS_FOLDER' in read.text and 'Plain for toy' in read.text
  # What a person wrote there stays, and nothing appears twice.
  mine = page.replace('license: mit', 'license: gpl-3.0\nlanguage: en')
  again = hub_card.text(CARD, mine, NAME)
  assert library.ModelCard(again).data.license == 'gpl-3.0'
  assert (
    again.count('pidkd pull') == again.count('model-index') == again.count('Plain for toy') == 1
  )
  assert library.ModelCard(hub_card.text(CARD, '# A\n', NAME)).data.license is None
  # The same results go under the new name, others stay under their own.
  moved = library.ModelCard(hub_card.text(CARD, page, 'you/copy')).data
  assert moved.model_name == 'copy' and moved.eval_results == data.eval_results
  other = {**CARD, 'results': {'top1': 0.5}}
  assert library.ModelCard(hub_card.text(other, page, 'you/copy')).data.model_name == 'plain'


def test_a_pulled_bundle_names_the_repository_that_it_is_pushed_to(server, saved, tmp_path):
  hub.push(saved, NAME, own=OWN)
  hub.pull(NAME, tmp_path / 'plain', own=OWN)
  hub.push(tmp_path / 'plain', 'you/copy', own=OWN)
  page = server.files['you/copy']['README.md'].decode()
  assert 'pidkd pull you/copy THIS_FOLDER' in page and NAME not in page


class Scaled(Plain):
  """A network with a variable that is one number."""

  def setup(self):
    super().setup()
    self.scale = self.param('scale', lambda key: np.ones((), np.float32))

  def classify(self, pooled):
    return self.scale * super().classify(pooled)


def test_a_variable_that_is_one_number_stays_one(server, tmp_path):
  model = Scaled(num_classes=3)
  variables = model.init(jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))
  bundle.save(tmp_path / 'scaled', Network(jax.device_get(variables), model), CARD)
  hub.push(tmp_path / 'scaled', NAME, own=[Scaled])
  arrays = safetensors.load(server.files[NAME]['model.safetensors'])
  assert arrays['params/scale'].shape == ()


def test_nothing_but_the_files_of_a_bundle_is_taken(stocked, tmp_path):
  pulled = hub.pull(NAME, tmp_path / 'home' / 'plain', own=OWN)
  taken = {path.name for path in (tmp_path / 'home' / 'plain').iterdir()}
  assert taken == {'variables.npz', 'card.json', 'manifest.json', 'README.md'} == {*stocked.asked}
  assert pulled.passed_over == ('../escape.txt', 'model.pkl', 'modeling.py', 'sub/variables.npz')
  assert [path.name for path in (tmp_path / 'home').iterdir()] == ['plain']
  assert not list(tmp_path.rglob('escape.txt'))


def refusal(call, *arguments, **keywords):
  with pytest.raises(UserError) as refused:
    call(*arguments, **keywords)
  assert '\n' not in str(refused.value)
  return str(refused.value)


def sign(files):
  names = ('variables.npz', 'card.json')
  files['manifest.json'] = json.dumps(
    {name: hashlib.sha256(files[name]).hexdigest() for name in names}
  ).encode()


def test_what_does_not_load_is_not_kept(stocked, tmp_path):
  place, files = tmp_path / 'home' / 'plain', stocked.files[NAME]
  assert "bundle 'me/plain': " in refusal(hub.pull, NAME, place)  # Its class was not named.
  good = files['variables.npz']
  files['variables.npz'] = files['model.pkl']
  assert 'variables.npz is altered' in refusal(hub.pull, NAME, place, own=OWN)
  sign(files)
  assert "bundle 'me/plain'" in refusal(hub.pull, NAME, place, own=OWN)
  files['variables.npz'] = good
  stocked.sizes['variables.npz'] = 2**40
  assert 'variables.npz has 1099511627776 bytes' in refusal(hub.pull, NAME, place, own=OWN)
  del files['manifest.json'], files['card.json']
  says = "'me/plain' holds no bundle: it has no manifest.json, card.json"
  assert says in refusal(hub.pull, NAME, place, own=OWN)
  assert not place.exists() and not list(tmp_path.rglob('.plain*'))


def test_revisions_are_branches(stocked, saved, tmp_path):
  hub.push(saved, NAME, own=OWN, revision='v3')
  assert stocked.branches[NAME] == {'main', 'v2', 'v3'}
  hub.pull(NAME, tmp_path / 'plain', own=OWN, revision='v3')
  says = "'me/plain' has no revision 'v9'; name another"
  assert refusal(hub.pull, NAME, tmp_path / 'other', own=OWN, revision='v9') == says


def test_what_is_to_be_private_never_goes_to_a_public_repository(stocked, saved):
  before = dict(stocked.files[NAME])
  says = refusal(hub.push, saved, NAME, own=OWN, private=True)
  assert says == "'me/plain' is there already and is public; name another repository"
  assert stocked.files[NAME] == before
  hub.push(saved, 'me/hidden', own=OWN, private=True)
  assert stocked.private == {'me/hidden'}


def test_mistakes_are_one_line(server, saved, tmp_path, monkeypatch):
  place = tmp_path / 'plain'
  assert 'is there already; name a new folder' in refusal(hub.pull, NAME, tmp_path)
  assert 'there is no repository' in refusal(hub.pull, 'me/nothing', place)
  for name in ('plain', '../up', 'a/b/c', '/etc/passwd', ''):
    assert "is no repository's name" in refusal(hub.pull, name, place)
  assert 'does not exist' in refusal(hub.push, tmp_path / 'nothing', NAME)
  monkeypatch.setenv('HF_TOKEN', 'hf_wrong')
  assert '401' in refusal(hub.push, saved, NAME, own=OWN)
  monkeypatch.setenv('HF_TOKEN', 'hf_é')
  says = "the hub cannot be reached: 'ascii' codec can't encode character"
  assert says in refusal(hub.pull, NAME, place)
  monkeypatch.delenv('HF_TOKEN')
  says = 'there is no token for the hub; run `hf auth login`, or set HF_TOKEN'
  assert refusal(hub.push, saved, NAME, own=OWN) == says
  monkeypatch.setattr(constants, 'ENDPOINT', 'http://127.0.0.1:9')
  assert 'the hub cannot be reached' in refusal(hub.pull, NAME, place)
  assert not place.exists()


@pytest.mark.parametrize('command', [push, pull])
def test_a_command_without_its_two_names_says_what_it_needs(command):
  assert 'user/name' in refusal(command.main, 'one')
