"""Run commands in forks of one process that has imported what they need.

So a start takes a tenth of a second; a new process imports for three. A child has memory of its
own, so a command leaves nothing to the next one. JAX must not run before the fork, as its threads
would be missing in the child. Nothing here runs it.
"""

import gc
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping, Sequence

from pidkd_jax.cli.main import main

ROOT = pathlib.Path(__file__).resolve().parents[1]

# The imports of commands; `pidkd_jax.cli.app` first, as there. PyTorch may be missing.
_IMPORTS = (
  'pidkd_jax.cli.app',
  'pidkd_jax.experiment.condensing',
  'pidkd_jax.data.loading',
  'pidkd_jax.report.run_report',
  'pidkd_jax.report.study_report',
  'pidkd_jax.bundles.torch_import',
)
_OPTIONAL = ('torch',)


class Forks:
  """The process that forks; it ends with the context."""

  def __init__(self):
    self._process = subprocess.Popen(
      [sys.executable, '-m', 'tests.forks'],
      cwd=ROOT,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._process.communicate()

  def run(
    self,
    command: str,
    arguments: Sequence[str],
    folder: pathlib.Path,
    environment: Mapping[str, str],
    patience: int = 120,
  ) -> subprocess.CompletedProcess[str]:
    """Run `pidkd COMMAND`.

    Args:
      command: its name.
      arguments: those behind the name.
      folder: to start in.
      environment: variables that are set beside this process's own.
      patience: seconds after which the command is killed, by SIGALRM.
    """
    argv = ['pidkd', command, *arguments]
    with tempfile.TemporaryDirectory() as said:
      request = {
        'argv': argv,
        'folder': str(folder),
        'environment': dict(environment),
        'patience': patience,
        'said': said,
      }
      self._process.stdin.write(json.dumps(request) + '\n')
      self._process.stdin.flush()
      status = int(self._process.stdout.readline())
      out, err = (pathlib.Path(said, name).read_text() for name in ('out', 'err'))
    return subprocess.CompletedProcess(argv, status, out, err)


def _serve() -> None:
  for name in _IMPORTS:
    importlib.import_module(name)
  for name in _OPTIONAL:
    try:
      importlib.import_module(name)
    except ImportError:
      pass
  gc.freeze()  # A child that looked for garbage among the imports would copy their pages.
  for line in sys.stdin:
    request = json.loads(line)
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # JAX warns of any fork.
      child = os.fork()
    if not child:
      os._exit(_child(request))
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)


def _child(request) -> int:
  """Run the command as `pidkd` does, and return its exit status."""
  signal.alarm(request['patience'])
  for number, name, mode in (0, os.devnull, 'r'), (1, 'out', 'w'), (2, 'err', 'w'):
    with open(os.path.join(request['said'], name), mode) as file:
      os.dup2(file.fileno(), number)
  os.chdir(request['folder'])
  os.environ.update(request['environment'])
  sys.argv = request['argv']
  status = 0
  try:
    main()
  except SystemExit as ended:
    status = ended.code
  except BaseException:
    traceback.print_exc()
    status = 1
  if isinstance(status, str):
    print(status, file=sys.stderr)
    status = 1
  sys.stdout.flush()
  sys.stderr.flush()
  return status or 0


if __name__ == '__main__':
  _serve()
