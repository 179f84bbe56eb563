"""The flags of each command, without a process of its own for each."""

import importlib

from absl import flags

from pidkd_jax.cli import app
from pidkd_jax.cli.main import files


def module(command):
  """Return a command's module."""
  return importlib.import_module(f'pidkd_jax.cli.commands.{files()[command].stem}')


def of(command):
  """Return a command's flags, in their order."""
  found = app.define(module(command).define_flags)
  for flag in found:  # The next command defines its own.
    delattr(flags.FLAGS, flag.name)
  return found
