"""Serves what the docs link to outside their own folder: the notebooks of examples/."""

import pathlib

from mkdocs.structure.files import File, InclusionLevel

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / 'examples'


def on_files(files, config):
  """Add each notebook under the path that links from docs/ have on a code host too."""
  for path in sorted(EXAMPLES.glob('*.ipynb')):
    file = File.generated(
      config,
      f'../examples/{path.name}',
      abs_src_path=str(path),
      inclusion=InclusionLevel.INCLUDED,  # A path that begins with a dot is left out otherwise.
    )
    file.dest_uri = f'examples/{path.name}'
    files.append(file)
  return files
