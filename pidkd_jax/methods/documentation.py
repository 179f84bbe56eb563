"""What the docstrings of methods say: a line on each, and the meaning of its hyper-parameters."""

import importlib
import inspect
import re
import textwrap

from pidkd_jax.core import own_code, registry
from pidkd_jax.methods import base, catalog


def summary(name: str) -> str:
  """Return one line on a method.

  It is the first one of its class's docstring. Where the method is a class with some
  hyper-parameters fixed, it is the first line of the method's file, with the values that differ
  from the class's defaults.

  Args:
    name: as in `catalog.defaults`.

  Example:
    >>> summary('sp')
    'Similarity-preserving distillation.'
  """
  kind, fixed = catalog.class_of(name)
  if not fixed:
    return _first_line(kind)
  fields = base.hyperparameters(kind)
  differing = [f'{k}={v!r}' for k, v in fixed.items() if v != base.default(fields[k])]
  described = kind
  if not own_code.is_own(name):
    described = importlib.import_module(registry.module_of(catalog.PACKAGE, catalog.TABLE, name))
  line = _first_line(described)
  return f'{line.removesuffix(".")}; {", ".join(differing)}.' if differing else line


def meanings(name: str) -> dict[str, str]:
  """Return {hyper-parameter: its meaning} of those that docstrings explain.

  A class's section 'Attributes' goes before those of the classes above it.

  Args:
    name: as in `catalog.defaults`.

  Example:
    >>> meanings('sp')['weight']
    'of the squared difference; 3000 in SimKD, RepDistiller and mdistiller.'
  """
  found = {}
  for kind in reversed(catalog.class_of(name)[0].__mro__):
    if issubclass(kind, base.Method):
      found |= _attributes(kind.__doc__ or '')
  return {key: found[key] for key in catalog.defaults(name) if key in found}


def _first_line(described: object) -> str:
  return _plain(inspect.cleandoc(described.__doc__ or '').partition('\n')[0])


def _attributes(docstring: str) -> dict[str, str]:
  """Return {name: text} of the section 'Attributes' of a docstring."""
  _, _, rest = inspect.cleandoc(docstring).partition('\nAttributes:\n')
  section = textwrap.dedent(re.split(r'\n\n|\n(?=\S)', rest)[0])
  entries = re.findall(r'^(\w+): (.*(?:\n +.*)*)', section, re.MULTILINE)
  return {key: _plain(' '.join(text.split())) for key, text in entries}


def _plain(text: str) -> str:
  return text.replace('`', '')
