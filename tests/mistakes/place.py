"""A folder in which mistakes are made, and whether one left anything there."""

import os
import pathlib
import re
import shlex
import subprocess

from tests.forks import ROOT, Forks
from tests.mistakes.mistake import Mistake


class Place:
  """A folder with `material` in it.

  Attributes:
    home: the folder; every command starts in it.
  """

  def __init__(self, home: pathlib.Path, cache: pathlib.Path, forks: Forks):
    """`cache` is where commands keep their caches, beside the folder."""
    self.home = home
    self._forks = forks
    refused = 'http://127.0.0.1:9'  # Nobody listens there: no command reaches a network.
    self._environment = {
      'XDG_CACHE_HOME': str(cache),
      'TFDS_DATA_DIR': 'tfds',
      **{name: refused for name in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY')},
      'no_proxy': '',
      'NO_PROXY': '',
    }

  def make(self, mistake: Mistake) -> subprocess.CompletedProcess[str]:
    """Run a mistake's command."""
    arguments = (*mistake.usual, *mistake.given)
    return self._forks.run(mistake.command, arguments, self.home, self._environment)

  def content(self) -> dict[str, tuple[int, ...]]:
    """Return all that lies in the folder: of a file its size and the time when it was written."""
    found, folders = {}, [str(self.home)]
    while folders:
      for entry in os.scandir(folders.pop()):
        found[entry.path] = ()
        if entry.is_dir(follow_symlinks=False):
          folders.append(entry.path)
        else:
          facts = entry.stat(follow_symlinks=False)
          found[entry.path] = (facts.st_size, facts.st_mtime_ns)
    return found

  def said(self, done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of an error, without what differs between machines."""
    line = done.stderr.strip().rpartition('\n')[2]
    for folder, name in ((self.home, 'HOME'), (ROOT, 'CHECKOUT')):
      line = line.replace(f'{folder}{os.sep}', f'{name}/')
    return re.sub(r'\b[0-9a-f]{8}\b|(?<=_)[0-9a-f]{8}\b', 'XXXXXXXX', line)  # Sums of archives.


def command(mistake: Mistake) -> str:
  """Return the command as it is typed, without the usual arguments."""
  return shlex.join(['pidkd', mistake.command, *mistake.given])
