"""The notebooks of examples/ run from an empty folder, in a short form."""

import importlib.util
import os
import pathlib

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / 'examples'
# What each notebook's cell of parameters assigns here.
TINY = 'resnet8*0.25'
SHORT = {
  'quick_start': {
    'TEACHER': TINY,
    'STUDENT': TINY,
    'TEACHER_EPOCHS': 3,
    'EPOCHS': 4,
    'TRIALS': 2,
  },
  'own_method': {'TEACHER': TINY, 'STUDENT': TINY, 'EPOCHS': 1},
  'deploy': {'NETWORK': TINY, 'EPOCHS': 1},
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
def execute(module, environment, pytestconfig, tmp_path_factory):
  """A function that executes a notebook of this name in a short form."""
  compiled = {
    'JAX_COMPILATION_CACHE_DIR': str(pytestconfig.cache.mkdir('jax-notebooks')),
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.2',
  }

  def execute(name):
    for other in NEEDS.get(name, ()):
      pytest.importorskip(other)
    folder = tmp_path_factory.mktemp(name)
    return module.execute(EXAMPLES / f'{name}.ipynb', folder, environment | compiled, **SHORT[name])

  return execute


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


def test_quick_start_shows_bars_a_table_and_plots(execute):
  notebook = execute('quick_start')
  # A bar wipes itself out when it is full, and leaves spaces and returns.
  assert any('\r' in output.text for output in outputs(notebook, 'stderr'))
  [table, _] = outputs(notebook, 'text/markdown')
  assert f'| PIDKD {TINY} ' in table.data['text/markdown']
  assert len(outputs(notebook, 'image/png')) == 2


@pytest.mark.parametrize('name', ['own_method', 'deploy'])
def test_it_runs(execute, name):
  execute(name)  # The notebooks assert that the ways that they show agree.


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
