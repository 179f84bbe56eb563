"""Compile programs in parallel, before they are called."""

import concurrent.futures
import os
from collections.abc import Callable, Sequence

import jax

from pidkd_jax.training import progress


def compile_all(title: str, programs: Sequence[Callable[[], jax.stages.Lowered]]) -> None:
  """Compile all programs in parallel; later calls take them from JAX's cache.

  Args:
    title: of the training, for the user.
    programs: functions that lower a program each.
  """
  doing = f'{title}: compiling {len(programs)} programs'
  with (
    progress.working(doing, total=len(programs), told=True) as done,
    concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
  ):
    futures = []
    try:
      for lower in programs:
        # Tracing holds the interpreter and so stays in this thread. Compilation releases it.
        futures.append(pool.submit(lower().compile))
        futures[-1].add_done_callback(lambda _: done())
      for future in futures:
        future.result()
    except BaseException:
      # Ctrl-C waits for the programs that compile, and not for the others.
      pool.shutdown(wait=False, cancel_futures=True)
      raise
