"""The rules of the design on who may import whom."""

import ast
import functools
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'pidkd_jax'

# Module or package -> what neither it nor anything that it imports may import.
NEVER = {
  'pidkd_jax.methods': ('training', 'data', 'models', 'evaluation', 'bundle', 'config'),
  'pidkd_jax.methods.base': (
    'training',
    'data',
    'models',
    'methods',
    'evaluation',
    'bundle',
    'config',
  ),
  'pidkd_jax.methods.harness': (
    'training',
    'data',
    'models',
    'methods',
    'evaluation',
    'bundle',
    'config',
  ),
  'pidkd_jax.nn.layers': (
    'training',
    'data',
    'models',
    'methods',
    'evaluation',
    'bundle',
    'config',
  ),
  'pidkd_jax.nn.losses': (
    'training',
    'data',
    'models',
    'methods',
    'evaluation',
    'bundle',
    'config',
  ),
  'pidkd_jax.core.types': (
    'training',
    'data',
    'models',
    'methods',
    'evaluation',
    'bundle',
    'config',
  ),
  'pidkd_jax.models': ('training', 'data', 'methods', 'method', 'evaluation', 'bundle', 'config'),
  'pidkd_jax.evaluation': ('training', 'methods', 'method', 'bundle', 'config'),
  'pidkd_jax.data': ('training', 'methods', 'method', 'models', 'evaluation', 'bundle', 'config'),
  'pidkd_jax.report': (
    'data',
    'methods',
    'method',
    'models',
    'bundle',
    'evaluation',
    'config',
    'training.run',
    'training.job',
  ),
  'pidkd_jax.export': ('training', 'methods', 'method', 'config'),
  'pidkd_jax.bundles.bundle': ('training', 'data', 'methods', 'method', 'evaluation', 'config'),
  # Whoever uses a student needs neither the data nor what trained it.
  'pidkd_jax.bundles.predictor': ('training', 'data', 'methods', 'method', 'evaluation', 'config'),
  'pidkd_jax.latency.bundle': ('training', 'data', 'methods', 'method', 'evaluation', 'report'),
  'pidkd_jax.latency.worker': ('training', 'data', 'models', 'bundle', 'folding', 'predictor'),
}


def name_of(path):
  parts = path.relative_to(ROOT).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob('*.py'))}


@functools.cache
def imports(module):
  """Every module that a module's text imports, anywhere in it."""
  path = MODULES[module]
  package = module.split('.') if path.name == '__init__.py' else module.split('.')[:-1]
  found = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      base = package[: len(package) - node.level + 1] if node.level else []
      source = '.'.join([*base, *([node.module] if node.module else [])])
      submodules = {f'{source}.{alias.name}' for alias in node.names} & MODULES.keys()
      found |= submodules or {source}
  return frozenset(found)


def within(module, parent):
  return module == parent or module.startswith(parent + '.')


def reached(module):
  """What a module imports, itself or by way of others of the package, each with the way there."""
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
  assert 'pidkd_jax.nn.layers' in imports('pidkd_jax.methods.pidkd')
  assert 'pidkd_jax.nn.layers' in reached('pidkd_jax.methods.simkd')
  assert 'flax' in imports('pidkd_jax.core.types') and 'jax' in imports('pidkd_jax.core.types')


@pytest.mark.parametrize('part', NEVER)
def test_a_part_reaches_only_what_it_may(part):
  modules = [module for module in MODULES if within(module, part)]
  assert modules
  for module in modules:
    for target, way in reached(module).items():
      for forbidden in NEVER[part]:
        assert not within(target, f'pidkd_jax.{forbidden}'), ' -> '.join(way)


@pytest.mark.parametrize('module', MODULES)
def test_the_package_imports_no_script_config_or_test(module):
  for target in imports(module):
    assert target.split('.')[0] not in ('scripts', 'benchmarks', 'configs', 'tests', 'main'), target


def test_ml_collections_stays_above_the_training():
  users = {
    module
    for module in MODULES
    if any(within(target, 'ml_collections') for target in imports(module))
  }
  assert users <= {
    'pidkd_jax.cli.training_flags',
    'pidkd_jax.experiment.config',
    'pidkd_jax.experiment.saved_config',
    'pidkd_jax.experiment.condensing',
    'pidkd_jax.experiment.job',
  }


@pytest.mark.parametrize('module', MODULES)
def test_nothing_names_tensorflow(module):
  assert not any(within(target, 'tensorflow') for target in imports(module))


def test_nothing_imports_tensorflow_by_way_of_others_either(tmp_path):
  """In a process of its own, with a package of that name to find."""
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
  done = subprocess.run(
    [sys.executable, '-c', script], env=environment, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.strip() == '[]'


def test_a_file_is_named_by_its_noun():
  for folder in ('pidkd_jax', 'scripts', 'benchmarks', 'configs', 'tests'):
    for path in (ROOT / folder).rglob('*.py'):
      stem = path.stem.removeprefix('test_')
      assert stem not in ('util', 'utils', 'helper', 'helpers', 'misc', 'common'), path
