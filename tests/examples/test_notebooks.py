"""The notebooks of examples/ and README's lines run from an empty folder, in a short form."""

import functools
import importlib.util
import os
import re

import pytest

import pidkd_jax as kd
from tests import small
from tests.small import ROOT

EXAMPLES = ROOT / 'examples'
# What each notebook's cell of parameters assigns here.
TINY, EPOCHS = 'resnet8*0.25', 4
SHORT = {
  'quick_start': {
    'TEACHER': TINY,
    'STUDENT': TINY,
    'TEACHER_EPOCHS': EPOCHS,
    'EPOCHS': EPOCHS,
    'TRIALS': 1,
  },
  'own_method': {'TEACHER': TINY, 'STUDENT': TINY, 'EPOCHS': EPOCHS},
  'deploy': {'NETWORK': TINY, 'EPOCHS': EPOCHS},
}
NEEDS = {'deploy': ('jax2onnx', 'onnx', 'onnxruntime')}


@pytest.fixture(scope='module')
def module():
  """The script that executes notebooks."""
  for name in ('nbclient', 'nbformat', 'ipykernel'):
    pytest.importorskip(name)
  path = EXAMPLES / 'execute.py'
  spec = importlib.util.spec_from_file_location(path.stem, path)
  execute = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(execute)
  return execute


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  """TFDS's folder with few digits."""
  folder = tmp_path_factory.mktemp('tfds')
  small.digits(folder)
  return folder


@pytest.fixture(scope='module')
def digits(place):
  return kd.data.load('digits', directory=str(place))


@pytest.fixture(scope='module')
def train(digits):
  """`kd.train` on the digits, which trains equal teachers once."""
  once = functools.cache(functools.partial(kd.train, data=digits))

  def train(network, data, epochs):
    assert data is digits
    return once(network, epochs=epochs)

  return train


@pytest.fixture
def here(digits, train, tmp_path, monkeypatch):
  """An empty folder, few digits, and a teacher that is trained once."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(kd.data, 'load', {'digits': digits}.__getitem__)
  monkeypatch.setattr(kd, 'train', train)
  return tmp_path


def cells(name):
  """Return the code of a notebook's cells, in the short form."""
  nbformat = pytest.importorskip('nbformat')
  notebook = nbformat.read(EXAMPLES / f'{name}.ipynb', as_version=4)
  for cell in notebook.cells:
    if 'parameters' in cell.metadata.get('tags', []):
      yield '\n'.join(f'{name} = {value!r}' for name, value in SHORT[name].items())
    elif cell.cell_type == 'code':
      yield cell.source


def outputs(notebook, kind):
  """Return a notebook's outputs of one stream or type."""
  return [
    output
    for cell in notebook.cells
    if cell.cell_type == 'code'
    for output in cell.outputs
    if kind in (output.get('name'), *output.get('data', {}))
  ]


def test_each_notebook_has_a_short_form():
  assert set(SHORT) == {path.stem for path in EXAMPLES.glob('*.ipynb')}


def test_quick_start_shows_bars_a_table_and_plots(module, environment, place, tmp_path):
  """In a kernel of its own."""
  notebook = module.execute(
    EXAMPLES / 'quick_start.ipynb',
    tmp_path,
    environment | {'TFDS_DATA_DIR': str(place)},
    **SHORT['quick_start'],
  )
  # A bar wipes itself out when it is full, and leaves spaces and returns.
  assert any('\r' in output.text for output in outputs(notebook, 'stderr'))
  [table, _] = outputs(notebook, 'text/markdown')
  name = TINY.replace('*', r'\*')
  assert f'| PIDKD {name} ' in table.data['text/markdown']
  assert len(outputs(notebook, 'image/png')) == 2


@pytest.mark.parametrize('name', ['own_method', 'deploy'])
def test_it_runs(here, name):
  """In this process, cell by cell. The notebooks assert that the ways that they show agree."""
  for needed in NEEDS.get(name, ()):
    pytest.importorskip(needed)
  names = {'__name__': '__main__'}
  for place, code in enumerate(cells(name)):
    exec(compile(code, f'{name}, cell {place}', 'exec'), names)


def test_readmes_lines_run(here):
  """With few images and the smallest networks."""
  readme = (ROOT / 'README.md').read_text()
  [block] = re.findall(r'^```python\n(.*?)^```', readme, re.DOTALL | re.MULTILINE)
  lines = [line for line in block.splitlines() if line]
  assert len(lines) == 8
  names = {}
  block = re.sub(r"'resnet\d+'", f"'{TINY}'", block.replace('epochs=6', f'epochs={EPOCHS}'))
  exec(compile(block, 'README.md', 'exec'), names)
  assert names['probabilities'].shape == (8, 10)
  assert list(names['students']) == ['pidkd', 'kd_1_1']
  assert [path.name for path in here.iterdir()] == ['student']


@pytest.mark.parametrize('name', SHORT)
def test_committed_outputs_are_small_and_name_no_place(name):
  """Outputs are there, without progress bars, folders of a machine, or large figures."""
  nbformat = pytest.importorskip('nbformat')
  path = EXAMPLES / f'{name}.ipynb'
  text, notebook = path.read_text(), nbformat.read(path, as_version=4)
  assert path.stat().st_size < 100_000
  assert not outputs(notebook, 'stderr')
  assert str(EXAMPLES.parent) not in text and os.path.expanduser('~') not in text
  numbers = [cell.execution_count for cell in notebook.cells if cell.cell_type == 'code']
  assert numbers == list(range(1, len(numbers) + 1))  # Executed once, from top to bottom.
