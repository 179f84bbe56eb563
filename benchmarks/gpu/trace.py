"""What a trace of JAX's profiler says: idle time, and the kernels that take longest."""

import collections
import dataclasses
import gzip
import json
import pathlib
from collections.abc import Iterable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Summary:
  """The kernels of all devices in a trace.

  Attributes:
    kernels: their number.
    span: microseconds from the first kernel's start to the last one's end.
    busy: microseconds of the span in which a kernel runs.
    by_name: {kernel: (microseconds, number)}, the longest first.
  """

  kernels: int
  span: float
  busy: float
  by_name: dict[str, tuple[float, int]]

  @property
  def idle(self) -> float:
    """Return the share of the span in which nothing runs; 0 without kernels."""
    return 1 - self.busy / self.span if self.span else 0.0


def read(folder: pathlib.Path) -> Summary:
  """Read the newest trace under a folder that `jax.profiler.trace` wrote to."""
  path = max(folder.rglob('*.trace.json.gz'), key=lambda path: path.stat().st_mtime)
  with gzip.open(path, 'rt') as file:
    return summarize(json.load(file)['traceEvents'])


def summarize(events: Iterable[dict[str, Any]]) -> Summary:
  """Sum up the events of a trace in Chrome's format.

  Kernels are the events on a device's streams. A trace of a CPU has no device, so no kernels.
  """
  events = list(events)
  names = {
    (event['name'], event['pid'], event.get('tid')): event['args']['name']
    for event in events
    if event.get('ph') == 'M' and 'name' in event.get('args', {})
  }

  def on_stream(event) -> bool:
    process = next(
      (
        name
        for (kind, pid, _), name in names.items()
        if (kind, pid) == ('process_name', event['pid'])
      ),
      '',
    )
    thread = names.get(('thread_name', event['pid'], event.get('tid')), '')
    return process.startswith('/device:') and thread.startswith('Stream')

  streams = {}
  kernels = []
  for event in events:
    if event.get('ph') != 'X':
      continue
    key = event['pid'], event.get('tid')
    if key not in streams:
      streams[key] = on_stream(event)
    if streams[key]:
      kernels.append(event)
  totals: dict[str, list[float]] = collections.defaultdict(list)
  for event in kernels:
    totals[event['name']].append(event['dur'])
  longest = sorted(totals.items(), key=lambda item: -sum(item[1]))
  intervals = sorted((event['ts'], event['ts'] + event['dur']) for event in kernels)
  return Summary(
    kernels=len(kernels),
    span=max((end for _, end in intervals), default=0.0) - (intervals[0][0] if intervals else 0.0),
    busy=_union(intervals),
    by_name={name: (sum(durations), len(durations)) for name, durations in longest},
  )


def _union(intervals: list[tuple[float, float]]) -> float:
  """Return the length of the union of sorted intervals."""
  total, reached = 0.0, float('-inf')
  for begin, end in intervals:
    total += max(0.0, end - max(begin, reached))
    reached = max(reached, end)
  return total
