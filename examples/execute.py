"""Execute the notebooks in place, from an empty folder, and keep what a reader wants to see.

    python examples/execute.py [quick_start.ipynb ...]

`pip install '.[test]'` in a checkout installs what this needs.
"""

import os
import pathlib
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import nbclient
import nbformat

HERE = pathlib.Path(__file__).resolve().parent


def execute(
  path: pathlib.Path,
  folder: str | pathlib.Path,
  environment: Mapping[str, str] = os.environ,
  **parameters: Any,
) -> nbformat.NotebookNode:
  """Execute a notebook.

  Args:
    path: the notebook.
    folder: in which its cells run.
    environment: variables of its process.
    **parameters: what the cell tagged 'parameters' assigns, in place of its own values.

  Returns:
    The notebook with its outputs.

  Raises:
    nbclient.exceptions.CellExecutionError: a cell failed.
  """
  notebook = nbformat.read(path, as_version=4)
  if parameters:
    [cell] = [cell for cell in notebook.cells if 'parameters' in cell.metadata.get('tags', [])]
    cell.source = '\n'.join(f'{name} = {value!r}' for name, value in parameters.items())
  client = nbclient.NotebookClient(
    notebook, resources={'metadata': {'path': str(folder)}}, coalesce_streams=True
  )
  client.execute(env=environment | {'PYTHONPATH': str(HERE.parent)})
  return notebook


def tidy(notebook: nbformat.NotebookNode) -> None:
  """Drop progress bars, which only a running notebook shows, and times of execution."""
  for cell in notebook.cells:
    cell.metadata.pop('execution', None)
    if cell.cell_type == 'code':
      cell.outputs = [output for output in cell.outputs if output.get('name') != 'stderr']
  notebook.metadata.pop('widgets', None)
  # The reader's Python may be another.
  notebook.metadata.get('language_info', {}).pop('version', None)


def main(names: list[str]) -> None:
  for path in [HERE / name for name in names] or sorted(HERE.glob('*.ipynb')):
    with tempfile.TemporaryDirectory() as folder:
      notebook = execute(path, folder)
    tidy(notebook)
    nbformat.write(notebook, path)


if __name__ == '__main__':
  main(sys.argv[1:])
