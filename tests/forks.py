"""Run commands in forks of one process that has imported what they need.

So a start takes a hundredth of a second; a new process imports for three. A child has memory of its
own, so a command leaves nothing to the next one. JAX must not run before the fork, as its threads
would be missing in the child. Nothing here runs it.
"""

import contextlib
import dataclasses
import gc
import importlib
import json
import os
import pathlib
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence

import pidkd_jax
from pidkd_jax.cli.main import main

ROOT = pathlib.Path(__file__).resolve().parents[1]

# What commands import beside the modules of this package. Some packages may be missing.
_IMPORTS = (
  'PIL.GifImagePlugin',
  'PIL.JpegImagePlugin',
  'PIL.PngImagePlugin',
  'array_record.python.array_record_module',
  'encodings.cp437',
  'importlib_resources',
  'jaxlib.mlir.dialects.mhlo',
  'tensorflow_datasets.core.download.downloader',
  'tensorflow_datasets.image_classification',
  'torch',
  'torch.utils.serialization.config',
  'tree',
)


@dataclasses.dataclass(frozen=True)
class Running:
  """A command that has started.

  Attributes:
    pid: of its process.
    wait: returns how it ended.
    is_alive: returns whether it still runs.
  """

  pid: int
  wait: Callable[[], subprocess.CompletedProcess[str]]
  is_alive: Callable[[], bool]


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
    """Run `pidkd COMMAND`, or a script.

    Args:
      command: its name, or the path of a file that ends in .py.
      arguments: those behind the name.
      folder: to start in.
      environment: variables that are set beside this process's own.
      patience: seconds after which the command is killed, by SIGALRM.
    """
    return self.start(command, arguments, folder, environment, patience).wait()

  def start(
    self,
    command: str,
    arguments: Sequence[str],
    folder: pathlib.Path,
    environment: Mapping[str, str],
    patience: int = 120,
  ) -> Running:
    """Start what `run` runs, and do not wait for its end."""
    is_script = command.endswith('.py')
    argv = [command, *arguments] if is_script else ['pidkd', command, *arguments]
    said = tempfile.TemporaryDirectory()
    pid = self._ask(
      'fork',
      {
        'argv': argv,
        'is_script': is_script,
        'folder': str(folder),
        'environment': dict(environment),
        'patience': patience,
        'said': said.name,
      },
    )

    def wait():
      status = self._ask('wait', pid)
      with said:
        out, err = (pathlib.Path(said.name, name).read_text() for name in ('out', 'err'))
      return subprocess.CompletedProcess(argv, status, out, err)

    return Running(pid, wait, lambda: bool(self._ask('is_alive', pid)))

  def _ask(self, what, given) -> int:
    """Have the process call one of `_ANSWERS`."""
    self._process.stdin.write(json.dumps([what, given]) + '\n')
    self._process.stdin.flush()
    return int(self._process.stdout.readline())


def _modules() -> list[str]:
  """Return the modules of this package; `pidkd_jax.cli.app` first, as in a command."""
  found = pkgutil.walk_packages(pidkd_jax.__path__, 'pidkd_jax.')
  return ['pidkd_jax.cli.app', *(module.name for module in found)]


def _serve() -> None:
  for name in (*_modules(), *_IMPORTS):
    with contextlib.suppress(ImportError):
      importlib.import_module(name)
  gc.freeze()  # A child that looked for garbage among the imports would copy their pages.
  for line in sys.stdin:
    what, given = json.loads(line)
    print(int(_ANSWERS[what](given)), flush=True)


def _wait(pid: int) -> int:
  _, status = os.waitpid(pid, 0)
  return os.waitstatus_to_exitcode(status)


def _is_alive(pid: int) -> bool:
  return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _fork(request) -> int:
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # JAX warns of any fork.
    child = os.fork()
  if not child:
    os._exit(_child(request))
  return child


def _child(request) -> int:
  """Run the command as `pidkd` does, or the script; return its exit status."""
  signal.alarm(request['patience'])
  for number, name, mode in (0, os.devnull, 'r'), (1, 'out', 'w'), (2, 'err', 'w'):
    with open(os.path.join(request['said'], name), mode) as file:
      os.dup2(file.fileno(), number)
  os.chdir(request['folder'])
  os.environ.update(request['environment'])
  sys.argv = request['argv']
  status = 0
  try:
    if request['is_script']:
      sys.path.insert(0, os.path.dirname(sys.argv[0]))
      runpy.run_path(sys.argv[0], run_name='__main__')
    else:
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


_ANSWERS = {'fork': _fork, 'wait': _wait, 'is_alive': _is_alive}

if __name__ == '__main__':
  _serve()
