"""A worker's process, seen from the process that measures."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

from jax.extend import backend

from pidkd_jax.core.errors import UserError
from pidkd_jax.latency.candidate import Candidate


class WorkerProcess:
  """A process that runs `worker.serve` for one candidate and waits for requests."""

  def __init__(self, candidate: Candidate, stdin: IO[str], stdout: IO[str], stderr: IO[str]):
    """Take the standard streams of a candidate's process."""
    self._candidate = candidate
    self._stdin, self._stdout, self._stderr = stdin, stdout, stderr

  def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
    """Send a request and return the answer, both as in `worker.serve`.

    Raises:
      UserError: The worker ended; the message has its last line on standard error.
    """
    with contextlib.suppress(BrokenPipeError):
      print(json.dumps(request), file=self._stdin, flush=True)
    answer = self._stdout.readline()
    if not answer:
      self._stderr.seek(0)
      last = self._stderr.read().strip().rpartition('\n')[2]
      raise UserError(f'{str(self._candidate.file)!r} cannot be run here: {last}')
    return json.loads(answer)


@contextlib.contextmanager
def start(candidate: Candidate, platform: str) -> Iterator[WorkerProcess]:
  """Start a candidate's worker, and kill it at the end.

  Args:
    candidate: the candidate.
    platform: JAX's platform, such as 'cpu'.
  """
  # The worker must find what this process finds: the package, and models of the user's own.
  path = os.pathsep.join(filter(None, sys.path))
  with (
    tempfile.TemporaryFile('w+', encoding='utf-8') as stderr,
    subprocess.Popen(
      [sys.executable, '-m', *candidate.command],
      env=os.environ | {'JAX_PLATFORMS': _own_name(platform), 'PYTHONPATH': path},
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=stderr,
      text=True,
    ) as process,
  ):
    assert process.stdin and process.stdout  # They are pipes.
    try:
      yield WorkerProcess(candidate, process.stdin, process.stdout, stderr)
    finally:
      process.kill()
      with contextlib.suppress(BrokenPipeError):  # A request may be left that nobody read.
        process.stdin.close()


def _own_name(platform: str) -> str:
  """Return the name of a platform that means no other, such as 'cuda' for 'gpu'.

  For 'gpu' a process would ask for ROCm, too, and fail where only CUDA is installed.
  """
  known = backend.backends().items()
  return next((name for name, client in known if client.platform == platform), platform)
