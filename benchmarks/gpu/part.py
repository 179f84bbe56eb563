"""Parts of the benchmark: each a list of measurements that one process takes in order."""

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

# {column: value} of one row of the part's table: JSON numbers, texts and truth values.
Row = Mapping[str, Any]
# {row's name: takes it}, most important first.
Measurements = Mapping[str, Callable[[], Row]]

FAILED = 'failed'


@dataclasses.dataclass(frozen=True)
class Place:
  """Where a part works, and at what size.

  Attributes:
    folder: the part's own, for runs and traces; it survives a kill.
    shared: of all parts, for data and bundles that several of them need.
    short: whether toys stand for the networks and the data.
    environment: the versions and the hardware at work.
  """

  folder: pathlib.Path
  shared: pathlib.Path
  short: bool = False
  environment: Row = dataclasses.field(default_factory=dict)

  @property
  def caches(self) -> pathlib.Path:
    """Return the folder of the jobs' caches; the part `start` empties it."""
    return self.shared / 'caches'

  @property
  def programs(self) -> pathlib.Path:
    """Return the folder of the compiled programs that the parts' own processes share."""
    return self.shared / 'xla'


@dataclasses.dataclass(frozen=True)
class Part:
  """Measurements that belong together.

  Attributes:
    name: of its file.
    title: of its table.
    seconds: that it may take.
    measurements: makes the measurements; only what they call imports JAX or PyTorch.
    summary: says in sentences what the rows {name: row} mean together.
  """

  name: str
  title: str
  seconds: float
  measurements: Callable[[Place], Measurements]
  summary: Callable[[Mapping[str, Row]], list[str]] = lambda rows: []


@dataclasses.dataclass
class Record:
  """What a folder has of a part.

  Attributes:
    planned: names of all measurements; () if the part never began.
    rows: {name: row} of those that were taken. A failed one has only FAILED, its error.
    note: why the part ended early; '' if it did not.
    environments: in which rows were taken, each once.
    taken_in: {row: index of its environment}.
  """

  planned: list[str] = dataclasses.field(default_factory=list)
  rows: dict[str, Row] = dataclasses.field(default_factory=dict)
  note: str = ''
  environments: list[Row] = dataclasses.field(default_factory=list)
  taken_in: dict[str, int] = dataclasses.field(default_factory=dict)

  def add(self, name: str, row: Row, environment: Row) -> None:
    """Keep a row, and the environment in which it was taken."""
    if environment not in self.environments:
      self.environments.append(environment)
    self.rows[name] = row
    self.taken_in[name] = self.environments.index(environment)

  def environment(self, name: str) -> Row:
    """Return the environment in which a row was taken; {} where it was not kept."""
    return self.environments[self.taken_in[name]] if name in self.taken_in else {}

  @property
  def good(self) -> dict[str, Row]:
    """Return the rows without failed ones."""
    return {name: row for name, row in self.rows.items() if FAILED not in row}

  @property
  def missing(self) -> list[str]:
    """Return the names of measurements that were not taken."""
    return [name for name in self.planned if name not in self.rows]

  @property
  def is_complete(self) -> bool:
    """Return whether every measurement has succeeded."""
    return bool(self.planned) and all(name in self.good for name in self.planned)

  @classmethod
  def read(cls, path: pathlib.Path) -> 'Record':
    """Read a part's file; a missing one is an empty record."""
    return cls(**json.loads(path.read_text(encoding='utf-8'))) if path.exists() else cls()

  def write(self, path: pathlib.Path) -> None:
    """Replace a part's file, atomically."""
    partial = path.with_suffix('.partial')
    partial.write_text(json.dumps(dataclasses.asdict(self), indent=2) + '\n')
    partial.replace(path)


def take(part: Part, place: Place, path: pathlib.Path, deadline: float = float('inf')) -> Record:
  """Take a part's measurements that its file lacks, and keep each at once.

  Args:
    path: of the part's file.
    deadline: of time.monotonic; no measurement begins after it.
  """
  record = Record.read(path)
  measurements = part.measurements(place)
  record.planned, record.note = list(measurements), ''
  # A failed measurement is taken again.
  record.rows = record.good
  record.write(path)
  for name, measure in measurements.items():
    if name in record.rows:
      continue
    if time.monotonic() >= deadline:
      record.note = 'out of time'
      break
    try:
      row = dict(measure())
    except Exception as error:  # The others may still succeed.
      text = ' '.join(str(error).split())[:200]
      row = {FAILED: f'{type(error).__name__}: {text}'}
    record.add(name, row, place.environment)
    record.write(path)
  record.write(path)
  return record
