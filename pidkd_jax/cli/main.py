"""The program `pidkd`: find a command's file in `commands/` and run it.

Only the file that is asked for is imported. `pidkd --help` and `pidkd --version` import neither JAX
nor any of them.
"""

import importlib
import os
import pathlib
import signal
import sys

from pidkd_jax.cli import config_files, help
from pidkd_jax.core import extras, versions
from pidkd_jax.core.errors import UserError, unknown_name

COMMANDS = pathlib.Path(__file__).with_name('commands')


def files() -> dict[str, pathlib.Path]:
  """Return the file of each command, by the command's name."""
  return {path.stem.replace('_', '-'): path for path in sorted(COMMANDS.glob('[!_]*.py'))}


def main() -> None:
  """Run the command that `sys.argv` names."""
  before = signal.getsignal(signal.SIGINT)
  if before is signal.default_int_handler:
    # Until a command begins there is nothing to save, and imports fail in many ways.
    signal.signal(signal.SIGINT, _leave)
  try:
    try:
      _run()
    finally:
      signal.signal(signal.SIGINT, before)
      sys.stdout.flush()
  except BrokenPipeError:
    # The reader of the output, such as `head`, has read enough. Leave nothing to flush at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)


def _leave(number, frame) -> None:
  os.write(2, b'stopped\n')
  os._exit(128 + number)


def _run() -> None:
  name, *rest = sys.argv[1:] or ['--help']
  known = files()
  if help.is_asked_for([name]):
    print(help.overview(known, config_files.names()))
    return
  if name == '--version':
    print(versions.line())
    return
  name = name.replace('_', '-')
  if name not in known:
    print(unknown_name('command', name, known, 'pidkd --help'), file=sys.stderr)
    sys.exit(2)
  from pidkd_jax.cli import app  # First: it sets the process up before a command imports JAX.

  try:
    with extras.needed(f'pidkd {name}'):
      command = importlib.import_module(f'pidkd_jax.cli.commands.{known[name].stem}')
  except UserError as missing:
    print(missing, file=sys.stderr)
    sys.exit(1)
  own = app.define(command.define_flags)
  if help.is_asked_for(rest):
    print(help.of_command(command.__doc__ or '', own), flush=True)
    if not app.names_config(rest):
      return
    print()  # The fields of the config follow.
  app.run(command.main, [f'pidkd {name}', *rest])


if __name__ == '__main__':
  main()
