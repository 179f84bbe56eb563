"""The way to the commands of `pidkd` from a checkout, which need not be installed."""

import pathlib
import sys


def enter(command: str) -> None:
  """Run a command of the checkout with this process's arguments."""
  sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
  sys.argv[1:1] = [command]
  from pidkd_jax.cli.main import main

  main()
