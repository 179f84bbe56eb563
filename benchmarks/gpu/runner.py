"""Run parts one after the other, each in a process of its own and within its time."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from benchmarks.gpu.part import Part, Place, Record, Row

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A part needs this much to start and to take anything at all.
LEAST_SECONDS = 20.0
# Between a part's own deadline, after which nothing begins, and the end of its process.
GRACE_SECONDS = 5.0

# Takes (part, folder, short, seconds) and returns why the part ended early, or ''.
Start = Callable[[Part, pathlib.Path, bool, float], str]


def place(part: Part, folder: pathlib.Path, short: bool, environment: Row | None = None) -> Place:
  """Return where a part works; makes the folders."""
  own, shared = folder / 'work' / part.name, folder / 'work' / 'shared'
  own.mkdir(parents=True, exist_ok=True)
  shared.mkdir(parents=True, exist_ok=True)
  return Place(own.absolute(), shared.absolute(), short, environment or {})


def run(
  parts: Sequence[Part],
  folder: pathlib.Path,
  seconds: float,
  short: bool,
  start: Start,
  said: Callable[[str], None] = print,
) -> None:
  """Run the parts that are not complete, as far as the time goes.

  Args:
    folder: with the parts' files.
    seconds: for all parts together.
    start: runs a part.
    said: is told each part's progress.
  """
  ends = time.monotonic() + seconds
  for part in parts:
    path = folder / f'{part.name}.json'
    if Record.read(path).is_complete:
      said(f'{part.name}: already there')
      continue
    left = ends - time.monotonic()
    if left < LEAST_SECONDS:
      said(f'{part.name}: no time left')
      continue
    started = time.monotonic()
    # The parts' times are those of a GPU. Toys on a busy CPU may take longer.
    note = start(part, folder, short, left if short else min(part.seconds, left))
    record = Record.read(path)
    if note:
      record.note = note
      record.write(path)
    said(
      f'{part.name}: {len(record.good)} of {len(record.planned)} rows in '
      f'{time.monotonic() - started:.0f} s{f", {note}" if note else ""}'
    )


def in_process(part: Part, folder: pathlib.Path, short: bool, seconds: float) -> str:
  """Run a part in a process of its own, which ends with all that it started."""
  command = [sys.executable, '-m', 'benchmarks.gpu.child', part.name, str(folder), f'{seconds}']
  with (folder / f'{part.name}.log').open('a') as log:
    process = subprocess.Popen(
      [*command, *(['--short'] if short else [])],
      cwd=ROOT,
      stdin=subprocess.PIPE,  # It ends when this process does, however that ends.
      stdout=log,
      stderr=subprocess.STDOUT,
      start_new_session=True,
    )
    try:
      status = process.wait(seconds)
    except subprocess.TimeoutExpired:
      return 'out of time'
    finally:
      _end(process)
  return f'ended with status {status}, see {part.name}.log' if status else ''


def _end(process: subprocess.Popen) -> None:
  try:
    os.killpg(process.pid, signal.SIGKILL)
  except ProcessLookupError:
    pass  # It has ended, and left nothing behind.
  process.wait()


def end_with_parent() -> None:
  """Let this process end, with all that it started, when `in_process` does, even by SIGKILL."""

  def watch():
    while os.read(0, 1):
      pass
    os.killpg(os.getpgrp(), signal.SIGKILL)

  threading.Thread(target=watch, daemon=True).start()
