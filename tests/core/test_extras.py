"""Optional packages: which extra brings each, and what is said where one is missing."""

import ast
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

from pidkd_jax.core import extras, lazy
from pidkd_jax.core.errors import UserError
from tests.small import ROOT

PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
# Modules that are not called as their distributions are.
CALLED = {
  'PIL': 'pillow',
  'absl': 'absl-py',
  'google': 'protobuf',
  'mlflow': 'mlflow-skinny',
  'orbax': 'orbax-checkpoint',
  'sklearn': 'scikit-learn',
}


def distribution(module):
  return CALLED.get(module, module).replace('_', '-')


def distributions(requirements, system='Linux'):
  """Return what requirements install on a system, without those that their markers leave out."""
  return {
    one.name.replace('_', '-')
    for one in map(Requirement, requirements)
    if one.marker is None or one.marker.evaluate({'platform_system': system})
  }


def third_party(path):
  """Return the packages that a file imports, but those of Python and this one."""
  found = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      found |= {alias.name.partition('.')[0] for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
      found.add(node.module.partition('.')[0])
  return found - sys.stdlib_module_names - {'pidkd_jax'}


@pytest.mark.parametrize('system', ['Linux', 'Darwin'])
@pytest.mark.parametrize('extra', extras.EXTRAS)
def test_an_extra_brings_what_it_says(extra, system):
  listed = distributions(PROJECT['optional-dependencies'][extra], system)
  # What these import in turn may be listed beside them.
  assert {distribution(module) for module in extras.EXTRAS[extra]} <= listed


def test_every_import_is_of_the_core_or_has_an_extra():
  core = distributions(PROJECT['dependencies']) | {'jaxlib'}
  optional = {module for modules in extras.EXTRAS.values() for module in modules}
  for path in (ROOT / 'pidkd_jax').rglob('*.py'):
    for module in third_party(path):
      known = distribution(module) in core or module in optional or module in extras.BARE
      assert known, f'{path}: {module} has neither a dependency nor a row in core/extras.py'


def test_a_marker_leaves_a_distribution_out_on_other_systems():
  listed = ["grain>=0.2; platform_system == 'Linux'", 'array_record>=0.5']
  assert distributions(listed) == {'grain', 'array-record'}
  assert distributions(listed, 'Darwin') == {'array-record'}


def test_a_missing_package_is_said_with_its_command(monkeypatch):
  monkeypatch.setitem(sys.modules, 'tensorboardX', None)
  with pytest.raises(
    UserError, match=r"^logs needs tensorboardX: pip install 'pidkd_jax\[train\]'$"
  ):
    with extras.needed('logs'):
      import tensorboardX  # noqa: F401


def test_other_errors_pass():
  with pytest.raises(ModuleNotFoundError, match='no_such_module'):
    with extras.needed('a picture'):
      import no_such_module  # noqa: F401 # pyright: ignore[reportMissingImports]


def test_only_what_is_missing_is_installed(monkeypatch):
  for module in ('jax2onnx', 'onnxruntime'):
    monkeypatch.setitem(sys.modules, module, None)
  extras.require('reading JSON', 'json')
  with pytest.raises(UserError) as raised:
    extras.require('onnx', 'json', 'jax2onnx', 'onnxruntime')
  assert str(raised.value) == (
    "onnx needs jax2onnx, onnxruntime: pip install 'pidkd_jax[onnx]'"
    " && pip install --no-deps 'jax2onnx==0.17.1'"
  )


def test_a_package_of_the_users_own_format_is_installed_by_its_name():
  assert extras.command('flatlib') == 'pip install flatlib'


def test_a_public_name_says_what_it_needs(monkeypatch, tmp_path):
  (tmp_path / 'drawing.py').write_text('import matplotlib\n')
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  get, _ = lazy.attach('kd', {'draw': 'drawing:draw'})
  with pytest.raises(
    UserError, match=r"^kd.draw needs matplotlib: pip install 'pidkd_jax\[train\]'"
  ):
    get('draw')
  with pytest.raises(AttributeError):  # As PEP 562 asks for.
    get('draw')
