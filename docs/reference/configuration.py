"""Write the tables of configuration.md from the fields' own list.

python docs/reference/configuration.py
"""

import pathlib
import re

from pidkd_jax.experiment.fields import ROW, SECTIONS, Field

TABLES = {**SECTIONS, 'A row': ROW}
PAGE = pathlib.Path(__file__).with_suffix('.md')
_TABLE = re.compile(r'(<!-- fields: (.+?) -->\n).*?(?=<!-- end -->)', re.DOTALL)


def page() -> str:
  """Return the page, its tables made anew between their marks."""
  return _TABLE.sub(lambda found: f'{found[1]}\n{_table(TABLES[found[2]])}\n', PAGE.read_text())


def _table(fields: tuple[Field, ...]) -> str:
  rows = [f'| `{field.name}` | `{field.default!r}` | {field.doc} |\n' for field in fields]
  return ''.join(['| field | default | meaning |\n', '|--|--|--|\n', *rows])


if __name__ == '__main__':
  PAGE.write_text(page())
