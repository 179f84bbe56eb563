"""Whether somebody watches: at a terminal, or in a notebook."""

import sys


def is_notebook() -> bool:
  """Return whether this process is a notebook's."""
  ipython = sys.modules.get('IPython')
  shell = ipython and ipython.get_ipython()
  return 'IPKernelApp' in getattr(shell, 'config', ())


def is_watched() -> bool:
  """Return whether somebody sees a live line."""
  return sys.stderr.isatty() or is_notebook()
