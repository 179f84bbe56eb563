"""Compile programs in parallel, before they are called."""

import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Sequence

import jax

from pidkd_jax.training import progress


class Compilation:
  """Programs that compile side by side in other threads, while this one goes on.

  Calls take them from JAX's cache once they are there. A call before that compiles its program
  again, so `wait` first.
  """

  def __init__(
    self,
    programs: Sequence[Callable[[], jax.stages.Lowered]],
    done: Callable[[], object] = lambda: None,
  ):
    """Begin.

    Args:
      programs: functions that lower a program each.
      done: is called after each program.
    """
    self._pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    self._futures = []
    try:
      for lower in programs:
        # Tracing holds the interpreter and so stays in this thread. Compilation releases it.
        self._futures.append(self._pool.submit(lower().compile))
        self._futures[-1].add_done_callback(lambda _: done())
    except BaseException:
      self.close()
      raise

  def wait(self) -> None:
    """Wait for all programs, and raise the error of a compilation."""
    for future in self._futures:
      future.result()

  def close(self) -> None:
    """Wait for the programs that compile, and drop the others."""
    self._pool.shutdown(cancel_futures=True)


def compile_all(title: str, programs: Sequence[Callable[[], jax.stages.Lowered]]) -> None:
  """Compile all programs in parallel; later calls take them from JAX's cache.

  Args:
    title: of the training, for the user.
    programs: functions that lower a program each.
  """
  doing = f'{title}: compiling {len(programs)} programs'
  with (
    progress.working(doing, total=len(programs), told=True) as done,
    contextlib.closing(Compilation(programs, done)) as compilation,
  ):
    compilation.wait()
