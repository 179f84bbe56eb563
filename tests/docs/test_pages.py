"""What the documents name exists: links, anchors, commands, flags, fields, files."""

import importlib
import importlib.util
import pathlib
import re
import shlex
import unicodedata

import pytest

import pidkd_jax as kd
from pidkd_jax import data, methods, models
from pidkd_jax.cli import main as program
from pidkd_jax.experiment import config, fields, pairs

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / 'docs'
# `pidkd report` wrote those in lab/results.
PAGES = [page for page in sorted(DOCS.rglob('*.md')) if 'lab/results/' not in page.as_posix()]
MISTAKES = DOCS / 'reference/mistakes.md'
COLUMNS, WORDS = 100, 12


def name(page: pathlib.Path) -> str:
  return page.relative_to(ROOT).as_posix()


def pages(*more: pathlib.Path):
  return pytest.mark.parametrize('page', [*PAGES, *more], ids=name)


def blocks(text: str) -> list[str]:
  """Return the code blocks, fenced or indented."""
  fenced = re.findall(r'^```.*?\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
  indented = re.findall(r'(?:(?<=\n\n)|\A)(?: {4,}\S.*\n)+', prose(text, indented=True))
  return fenced + indented


def prose(text: str, indented: bool = False) -> str:
  """Return the text without its code blocks."""
  text = re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)
  return text if indented else re.sub(r'(?<=\n\n)(?: {4,}\S.*\n)+', '', text)


def slugs(page: pathlib.Path) -> set[str]:
  """Return the headings' anchors that the site and code hosts agree on."""
  found = set()
  for heading in re.findall(r'^#+ (.+)$', prose(page.read_text()), re.MULTILINE):
    text = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading).replace('`', '')
    ascii_text = unicodedata.normalize('NFKD', text).encode('ascii', 'ignore').decode()
    site = re.sub(r'[-\s]+', '-', re.sub(r'[^\w\s-]', '', ascii_text).strip().lower())
    host = re.sub(r'[^\w\s-]', '', text.strip().lower()).replace(' ', '-')
    if site == host:
      found.add(site)
  return found


@pages(*(ROOT / f'{name}.md' for name in ('README', 'CONTRIBUTING', 'CHANGELOG', 'SECURITY')))
def test_links_and_anchors_resolve(page):
  text = re.sub(r'`[^`]*`', '', prose(page.read_text()))
  for target in re.findall(r'\]\(([^)\s]+)\)', text):
    if re.match(r'[a-z]+:', target):
      continue
    path, _, anchor = target.partition('#')
    file = page.parent / path if path else page
    assert file.exists(), target
    if anchor:
      assert anchor in slugs(file), target


@pages(*(ROOT / f'{name}.md' for name in ('CONTRIBUTING', 'CHANGELOG', 'SECURITY')))
def test_lines_fit_into_100_columns(page):
  for number, line in enumerate(page.read_text().splitlines(), start=1):
    if not line.startswith('|'):
      assert len(line) <= COLUMNS, f'{name(page)}:{number}'


@pages()
def test_cells_hold_a_dozen_words_at_most(page):
  if page == MISTAKES:
    return
  for line in prose(page.read_text()).splitlines():
    if line.startswith('|'):
      for cell in re.split(r'(?<!\\)\|', line):
        assert len(cell.split()) <= WORDS, cell


def commands(page: pathlib.Path) -> list[list[str]]:
  """Return the words of each command line in the code blocks."""
  found = []
  for block in blocks(page.read_text()):
    for line in re.sub(r'\\\n\s*', ' ', block).splitlines():
      # Not the row of a table on the screen, which may begin with a method's name.
      if re.match(r'\s*(pidkd|python|\.venv/bin/python) ', line) and '±' not in line:
        found.append(shlex.split(re.sub(r'[\[\]]', '', line), comments=True, posix=True))
  return found


@pages(ROOT / 'README.md', ROOT / 'CONTRIBUTING.md')
def test_commands_exist(page):
  for program_name, first, *rest in commands(page):
    if program_name == 'pidkd':
      assert first in program.files(), first
    elif first == '-m':
      module = rest[0].replace('.', '/')
      own = rest[0].split('.')[0] in ('benchmarks', 'tests', 'pidkd_jax')
      assert (
        importlib.util.find_spec(rest[0])
        if not own
        else any((ROOT / file).exists() for file in (f'{module}.py', f'{module}/__init__.py'))
      ), rest[0]
    elif not first.startswith(('-', 'exported/')):
      assert (ROOT / first).is_file(), first
  for spoken in re.findall(r'`pidkd ([a-z][\w-]*)', prose(page.read_text())):
    assert spoken in program.files(), spoken


@pages(ROOT / 'README.md')
def test_flags_of_commands_exist(page):
  shown = (DOCS / 'reference/commands.md').read_text()
  for program_name, first, *rest in commands(page):
    if program_name != 'pidkd' or page.name == 'commands.md':
      continue
    section = shown.partition(f'\n## {first}\n')[2].partition('\n## ')[0]
    known = re.findall(r'--(?:\[no\])?(\w+)', section)
    for word in rest:
      flag, _, _ = word.removeprefix('--').partition('=')
      if not word.startswith('--'):
        continue
      if flag.startswith('config.'):
        _check_field(flag.removeprefix('config.'))
      else:
        assert flag in known or flag.removeprefix('no') in known, f'{first} {word}'
    if '--config' in rest:
      _check_config(rest[rest.index('--config') + 1])


def _check_field(field: str) -> None:
  known = config.default('pidkd')
  group, _, rest = field.partition('.')
  if group == 'cohorts' or group == 'rows':
    return
  if group in ('method', 'compare'):
    names = {key for method in methods.names() for key in methods.defaults(method)}
    assert rest.rpartition('.')[2] in names, field
    return
  fields.get(known, field)  # Raises where there is none.


def _check_config(value: str) -> None:
  file = value.partition(':')[0]
  own = file.endswith(('my_config.py', 'config.json'))
  places = (f'{file}.py', f'studies/{file}.py')
  assert own or any((ROOT / 'configs' / place).is_file() for place in places), value


@pages(ROOT / 'README.md', ROOT / 'CONTRIBUTING.md')
def test_named_files_exist(page):
  if page == MISTAKES:
    return  # It names what is not there.
  pattern = r'((?:pidkd_jax|tests|configs|scripts|benchmarks|docs|examples)/[\w./-]+\.(?:py|ipynb))'
  text = page.read_text()
  for path in re.findall(r'`' + pattern, text) + re.findall(r'--config[ =]' + pattern, text):
    assert (ROOT / path).is_file() or pathlib.Path(path).stem.isupper(), path


def _resolve(name: str):
  """Return what a dotted name finds after `import pidkd_jax as kd` and no other import."""
  found = kd
  for part in name.split('.')[1:]:
    if hasattr(found, '__path__'):  # Other tests have imported more of a package.
      assert part in found.__all__, name
    found = getattr(found, part)
  return found


def _is_module(name: str) -> bool:
  try:
    return importlib.util.find_spec(name) is not None
  except ModuleNotFoundError:  # What stands before the last dot is none.
    return False


@pages(ROOT / 'README.md')
def test_names_of_the_package_exist(page):
  if page == MISTAKES:
    return  # Its messages are tested where they are raised.
  text, imports = page.read_text(), r'^ *from (pidkd_jax[\w.]*) import ([\w, ]+)$'
  for module, names in re.findall(imports, text, re.MULTILINE):
    for each in names.split(', '):
      assert _is_module(f'{module}.{each}') or hasattr(importlib.import_module(module), each), each
  text = re.sub(imports, '', text, flags=re.MULTILINE)
  for each, call in re.findall(r'(?<![\w./-])((?:kd|pidkd_jax)(?:\.[a-zA-Z_]\w*)+)(\(?)', text):
    # A module may be named as such, with the package's own name.
    if each.startswith('kd.') or call or not _is_module(each):
      assert callable(_resolve(each)) or not call, each


@pytest.mark.parametrize(
  'page, names',
  [
    ('methods', methods.names()),
    ('networks', models.names()),
    ('data', data.names()),
    ('pairs', [*pairs.CIFAR100, *pairs.TINY_IMAGENET]),
  ],
)
def test_reference_pages_are_complete(page, names):
  text = (DOCS / 'reference' / f'{page}.md').read_text()
  assert [
    each for each in names if not re.search(rf'(?<![\w-]){re.escape(each)}(?![\w-])', text)
  ] == []


def _script(path: pathlib.Path):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def test_configuration_page_has_the_fields_own_tables():
  path = DOCS / 'reference/configuration.md'
  script = _script(path.with_suffix('.py'))
  assert re.findall('<!-- fields: (.+?) -->', path.read_text()) == list(script.TABLES)
  assert script.page() == path.read_text(), 'run `python docs/reference/configuration.py`'


def test_commands_page_is_what_help_prints():
  assert (
    _script(DOCS / 'reference/commands.py').page() == (DOCS / 'reference/commands.md').read_text()
  ), 'run `python docs/reference/commands.py`'


def test_the_picture_shows_the_rooms():
  rooms = _script(DOCS / 'explanation/rooms.py')
  assert rooms.draw() == rooms.SVG.read_text(), 'run `python docs/explanation/rooms.py`'
  design = (DOCS / 'explanation/design.md').read_text()
  assert [room for room in rooms.arrows() if f'\n### {room}\n' not in design] == []
