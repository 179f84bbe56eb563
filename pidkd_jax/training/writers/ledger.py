"""Which rows a chosen writer has sent, and to which runs, kept in the training's folder."""

import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pidkd_jax.core import atomic_folder, regular_file


class Ledger:
  """{member: {'id': its run at the server, 'step': the last step that was sent}} as a file.

  Neither Weights & Biases nor MLflow can cut a run back to an earlier step. So a resumed training
  sends only the steps that its runs lack. It computes the others anew, with the same numbers up to
  rounding.
  """

  def __init__(self, folder: pathlib.Path, writer: str):
    """Read the ledger of a writer, or begin one.

    Args:
      folder: of the training.
      writer: its name.

    Raises:
      ValueError, OSError: the file cannot be read.
    """
    self.path = folder / 'writers' / f'{writer}.json'
    self._runs: dict[str, dict[str, Any]] = {}
    if self.path.exists():
      self._runs = {
        str(member): {'id': str(run['id']), 'step': int(run['step'])}
        for member, run in regular_file.read_object(self.path).items()
      }

  def run(self, member: str) -> str | None:
    """Return the id of a member's run; None where it has none yet."""
    return self._runs[member]['id'] if member in self._runs else None

  def begin(self, member: str, run: str) -> None:
    """Write down the id of a member's new run."""
    self._runs[member] = {'id': run, 'step': -1}
    self._save()

  def unsent(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows whose step their run does not have."""
    for row in rows:
      if row['step'] > self._runs.get(row['member'], {'step': -1})['step']:
        yield row

  def sent(self, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write down that rows were sent."""
    for row in rows:
      self._runs[row['member']]['step'] = row['step']
    self._save()

  def _save(self) -> None:
    self.path.parent.mkdir(exist_ok=True)
    part = self.path.with_suffix('.partial')
    atomic_folder.write_json(part, self._runs)
    os.replace(part, self.path)
