"""Optional packages: the extra of pidkd_jax that installs each, and one line where one is missing.

A module of an optional package is imported where it is needed, within `needed` or below it.
"""

import contextlib
import importlib.util
from collections.abc import Iterator

from pidkd_jax.core.errors import UserError

# {extra: the modules that it brings}; pyproject.toml has their distributions.
EXTRAS = {
  'train': (
    'array_record',
    'clu',
    'etils',
    'google',
    'google_crc32c',
    'grain',
    'importlib_resources',
    'matplotlib',
    'orbax',
    'requests',
    'sklearn',
    'tensorboardX',
    'tensorflow_datasets',
  ),
  'torch': ('torch',),
  'timm': ('timm', 'torchvision', 'torchax'),
  'stablehlo': ('flatbuffers',),
  'safetensors': ('safetensors',),
  'onnx': ('onnx', 'onnx_ir', 'onnxruntime'),
  'hub': ('huggingface_hub', 'safetensors'),
  'wandb': ('wandb',),
  'mlflow': ('mlflow',),
}
# {module: requirement}. It is installed beside its extra without what it asks for. That is not
# needed here, or contradicts what this package needs.
BARE = {'jax2onnx': ('onnx', 'jax2onnx==0.17.1')}


@contextlib.contextmanager
def needed(purpose: str) -> Iterator[None]:
  """Say in one line what to install, where an import finds an optional package missing.

  Args:
    purpose: what needs the package, e.g. 'pidkd train'.

  Raises:
    UserError: a package of an extra is missing. Other errors pass.

  Example:
    >>> with needed('a picture'):
    ...   raise ModuleNotFoundError(name='matplotlib.figure')
    Traceback (most recent call last):
    pidkd_jax.core.errors.UserError: a picture needs matplotlib: pip install 'pidkd_jax[train]'
  """
  try:
    yield
  except ModuleNotFoundError as error:
    module = (error.name or '').partition('.')[0]
    if not _extra(module):
      raise
    raise _missing(purpose, [module]) from error


def require(purpose: str, *modules: str) -> None:
  """Raise UserError as `needed` does where modules are missing; none of them is imported."""
  if missing := [module for module in modules if not importlib.util.find_spec(module)]:
    raise _missing(purpose, missing)


def command(*modules: str) -> str:
  """Return the command that installs optional modules.

  Example:
    >>> command('onnx', 'jax2onnx')
    "pip install 'pidkd_jax[onnx]' && pip install --no-deps 'jax2onnx==0.17.1'"
  """
  extras = dict.fromkeys(filter(None, map(_extra, modules)))
  ours = [f"'pidkd_jax[{','.join(extras)}]'"] if extras else []
  others = [module for module in modules if not _extra(module)]  # Of a user's own format.
  bare = [f"pip install --no-deps '{BARE[module][1]}'" for module in modules if module in BARE]
  return ' && '.join([f'pip install {" ".join(ours + others)}', *bare])


def _missing(purpose: str, modules: list[str]) -> UserError:
  return UserError(f'{purpose} needs {", ".join(modules)}: {command(*modules)}')


def _extra(module: str) -> str:
  """Return the extra that brings a module, '' where none does."""
  if module in BARE:
    return BARE[module][0]
  return next((extra for extra, modules in EXTRAS.items() if module in modules), '')
