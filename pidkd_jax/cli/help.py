"""What `--help` prints: the list of commands, or a command's docstring and flags."""

import ast
import pathlib
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

_WIDTH = 80
# The last two are absl's, and would end in status 1.
_HELP = ('--help', '-help', '-h', '--helpfull', '--helpshort')
_OVERVIEW = """Knowledge distillation by projector integration and classifier sharing, in JAX.
    pidkd train --config digits --workdir runs/digits

{commands}

{configs}
`pidkd COMMAND --help` shows its flags; with `--config NAME` also all fields."""


def is_asked_for(arguments: Iterable[str]) -> bool:
  """Return whether one of the arguments asks for help."""
  return any(argument in _HELP for argument in arguments)


def overview(files: Mapping[str, pathlib.Path], configs: Iterable[str]) -> str:
  """Return the list of commands, each with the first line of its docstring, and of configs.

  Args:
    files: each command's file, by the command's name. They are read and not imported.
    configs: names of configs; those of studies are 'studies/NAME'.
  """
  width = max(map(len, files))
  lines = {name: _docstring(path).partition('\n')[0] for name, path in files.items()}
  own = [name for name in configs if '/' not in name]
  studies = [name.partition('/')[2] for name in configs if '/' in name]
  return _OVERVIEW.format(
    commands='\n'.join(f'  {name:<{width}}  {line}' for name, line in lines.items()),
    configs='\n'.join(
      textwrap.fill(f'{kind}: {", ".join(names)}', _WIDTH, subsequent_indent='  ')
      for kind, names in (('Configs', own), ('Studies', studies))
    ),
  )


def of_command(docstring: str, flags: Iterable[Any]) -> str:
  """Return a command's help.

  Args:
    docstring: of its module.
    flags: its own, as absl has them.
  """
  # What absl adds to a flag that may be repeated goes.
  names = {_name(flag): flag.help.partition(';\n')[0] for flag in flags}
  width = max(map(len, names)) + 4
  lines = [
    textwrap.fill(
      text, _WIDTH, initial_indent=f'  {name}'.ljust(width), subsequent_indent=' ' * width
    )
    for name, text in names.items()
  ]
  return '\n'.join([docstring.strip(), '', *lines])


def _name(flag) -> str:
  """Return a flag as it is typed, with its default."""
  if flag.boolean:
    return f'--[no]{flag.name}'
  from absl.flags import MultiFlag  # Late: the overview needs it not.

  if isinstance(flag, MultiFlag):
    return ' '.join(f'--{flag.name}={one}' for one in flag.default or []) or f'--{flag.name}'
  default = flag.default_as_str
  return f'--{flag.name}={default.strip(chr(39))}' if flag.default else f'--{flag.name}'


def _docstring(path: pathlib.Path) -> str:
  return ast.get_docstring(ast.parse(path.read_text('utf-8'))) or ''
