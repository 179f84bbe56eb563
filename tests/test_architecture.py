"""The rules of the design on who may import whom (docs/explanation/design.md)."""

import ast
import functools
import graphlib
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'pidkd_jax'

# {room: the rooms that it may import}, from the ground floor up. A new arrow fails until it stands
# here; an arrow that nobody uses any more fails too.
ALLOWED = {
  'core': set(),
  'nn': {'core'},
  'parallel': {'core'},
  'models': {'core', 'nn'},
  'methods': {'core', 'nn', 'models'},
  'data': {'core', 'nn', 'parallel'},
  'evaluation': {'core', 'nn', 'parallel', 'models', 'data'},
  'bundles': {'core', 'nn', 'parallel', 'models', 'data', 'evaluation'},
  'training': {'core', 'nn', 'parallel', 'models', 'methods', 'data', 'evaluation'},
  'report': {'core', 'training'},
  'export': {'core', 'nn', 'models', 'data', 'evaluation', 'bundles'},
  'latency': {'core', 'models', 'bundles', 'report'},
  'experiment': {
    *('core', 'nn', 'parallel', 'models', 'methods', 'data'),
    *('evaluation', 'bundles', 'training', 'report'),
  },
  'cli': {
    *('core', 'nn', 'parallel', 'models', 'methods', 'data', 'evaluation', 'bundles'),
    *('training', 'report', 'export', 'latency', 'experiment'),
  },
}

# Module -> rooms that neither it nor its imports may import, beside what ALLOWED says.
NEVER = {
  # A worker's memory is measured, so its imports hold no runtime of ours.
  'pidkd_jax.latency.worker': {'models', 'bundles', 'data', 'training'},
  # A report reads run folders and nothing else.
  'pidkd_jax.report': {'data', 'methods', 'models', 'bundles', 'evaluation', 'experiment'},
}


def name_of(path):
  parts = path.relative_to(ROOT).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob('*.py'))}


@functools.cache
def imports(module):
  """Every module that a module's text imports, anywhere but under TYPE_CHECKING."""
  path = MODULES[module]
  package = module.split('.') if path.name == '__init__.py' else module.split('.')[:-1]
  targets = set()
  for node in _executed(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      targets |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      base = package[: len(package) - node.level + 1] if node.level else []
      source = '.'.join([*base, *([node.module] if node.module else [])])
      submodules = {f'{source}.{alias.name}' for alias in node.names} & MODULES.keys()
      targets |= submodules or {source}
  return frozenset(targets)


def _executed(node):
  """The node and all below it, without the branches that only type checkers read."""
  yield node
  for child in ast.iter_child_nodes(node):
    if isinstance(child, ast.If) and ast.unparse(child.test) == 'TYPE_CHECKING':
      continue
    yield from _executed(child)


def within(module, parent):
  return module == parent or module.startswith(parent + '.')


def room(module):
  """The room of a module, '' for the package itself and for others' modules."""
  first, _, rest = module.partition('.')
  return rest.partition('.')[0] if first == 'pidkd_jax' else ''


def reached(module):
  """Every module that a module imports, itself or by way of others, each with the way there."""
  ways, ahead = {}, [(module,)]
  while ahead:
    way = ahead.pop()
    for target in imports(way[-1]):
      if target not in ways:
        ways[target] = (*way, target)
        if target in MODULES:
          ahead.append(ways[target])
  return ways


def test_the_walk_sees_the_imports():
  assert 'pidkd_jax.nn.projectors' in imports('pidkd_jax.methods.pidkd')
  assert 'pidkd_jax.nn.layers' in reached('pidkd_jax.methods.simkd')
  assert 'flax' in imports('pidkd_jax.core.types') and 'jax' in imports('pidkd_jax.core.types')


def test_nothing_is_loose_at_the_top():
  assert {path.name for path in PACKAGE.iterdir() if path.is_file()} == {'__init__.py', 'py.typed'}
  rooms = {path.parent.name for path in PACKAGE.glob('*/__init__.py')}
  assert rooms == ALLOWED.keys()


@pytest.mark.parametrize('name', ALLOWED)
def test_a_room_imports_the_rooms_that_it_may(name):
  arrows = {
    room(target): f'{module} -> {target}'
    for module in MODULES
    if room(module) == name
    for target in imports(module)
    if room(target) not in ('', name)
  }
  new = arrows.keys() - ALLOWED[name]
  assert not new, [arrows[target] for target in new]
  assert arrows.keys() == ALLOWED[name]


def test_no_arrow_runs_back_up():
  order = list(graphlib.TopologicalSorter(ALLOWED).static_order())  # Raises for a cycle.
  assert order[0] == 'core' and order[-1] == 'cli'


@pytest.mark.parametrize('part', NEVER)
def test_a_part_never_reaches(part):
  modules = [module for module in MODULES if within(module, part)]
  assert modules
  for module in modules:
    for target, way in reached(module).items():
      assert room(target) not in NEVER[part], ' -> '.join(way)


@pytest.mark.parametrize('module', MODULES)
def test_the_package_imports_no_script_config_or_test(module):
  for target in imports(module):
    assert target.split('.')[0] not in ('scripts', 'benchmarks', 'configs', 'tests', 'main'), target


def test_only_jobs_and_commands_know_ml_collections():
  users = {
    module
    for module in MODULES
    if any(within(target, 'ml_collections') for target in imports(module))
  }
  assert {room(module) for module in users} <= {'experiment', 'cli'}
  assert not users & {
    f'pidkd_jax.experiment.{name}'
    for name in ('assembly', 'distillation', 'experiment', 'result', 'run', 'teacher', 'widening')
  }


@pytest.mark.parametrize('module', MODULES)
def test_nothing_names_tensorflow(module):
  assert not any(within(target, 'tensorflow') for target in imports(module))


def _in_a_process(script, environment=os.environ):
  done = subprocess.run(
    [sys.executable, '-c', script], env=environment, cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  return done.stdout.strip()


def test_nothing_imports_tensorflow_by_way_of_others_either(tmp_path):
  """With a package of that name to find."""
  (tmp_path / 'tensorflow').mkdir()
  (tmp_path / 'tensorflow' / '__init__.py').write_text('')
  script = f"""
import importlib, importlib.util, sys
assert importlib.util.find_spec('tensorflow') is not None
for module in {list(MODULES)!r}:
  importlib.import_module(module)
print(sorted(name for name in sys.modules if name.split('.')[0] == 'tensorflow'))
"""
  environment = os.environ | {'PYTHONPATH': os.pathsep.join([str(tmp_path), str(ROOT)])}
  assert _in_a_process(script, environment) == '[]'


def test_the_package_is_light_and_its_public_names_are_there():
  script = """
import sys
import pidkd_jax as kd
assert not {'jax', 'flax', 'tensorflow_datasets'} & sys.modules.keys()
from pidkd_jax import report
assert 'tensorflow_datasets' not in sys.modules
for name in kd.__all__:
  getattr(kd, name)
for name in kd.training.__all__:
  getattr(kd.training, name)
assert set(kd.__all__) <= set(dir(kd)) and set(kd.training.__all__) <= set(dir(kd.training))
print('done')
"""
  assert _in_a_process(script) == 'done'


def test_a_file_is_named_by_its_noun():
  for folder in ('pidkd_jax', 'scripts', 'benchmarks', 'configs', 'tests'):
    for path in (ROOT / folder).rglob('*.py'):
      stem = path.stem.removeprefix('test_')
      assert stem not in ('util', 'utils', 'helper', 'helpers', 'misc', 'common'), path
