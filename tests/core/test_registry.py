"""A file in a package adds its entries."""

import sys

import pytest

from pidkd_jax.core import registry
from pidkd_jax.core.errors import UserError


@pytest.fixture
def package(tmp_path, monkeypatch):
  """Return a function that writes a package of these files and returns its name."""
  monkeypatch.syspath_prepend(tmp_path)
  made = []

  def write(**files):
    name = f'offers_{tmp_path.name}_{len(made)}'.replace('-', '_')
    folder = tmp_path / name
    folder.mkdir()
    (folder / '__init__.py').touch()
    for file, text in files.items():
      (folder / f'{file}.py').write_text(text)
    made.append(name)
    return name

  yield write
  for module in [m for m in sys.modules if m.split('.')[0] in made]:
    del sys.modules[module]


def test_every_file_adds_its_entries_sorted_by_name(package):
  name = package(
    late="THINGS = {'b': 2, 'd': 4}", early="THINGS = {'c': 3, 'a': 1}", other='NUMBER = 5'
  )
  entries = registry.discover(name, 'THINGS')
  assert list(entries.items()) == [('a', 1), ('b', 2), ('c', 3), ('d', 4)]


def test_two_files_may_not_offer_one_name(package):
  name = package(one="THINGS = {'same': 1}", two="THINGS = {'same': 2}")
  with pytest.raises(ValueError, match="two files offer 'same'"):
    registry.discover(name, 'THINGS')


def test_the_file_of_an_entry(package):
  name = package(one="THINGS = {'a': 1}", two="THINGS = {'b': 2}", three='')
  assert registry.module_of(name, 'THINGS', 'b') == f'{name}.two'


def test_find_returns_the_entry_or_names_the_nearest(package):
  name = package(one="THINGS = {'projector': 1, 'classifier': 2}")
  assert registry.find('thing', name, 'THINGS', 'classifier') == 2
  with pytest.raises(UserError, match="unknown thing 'projektor'; did you mean 'projector'"):
    registry.find('thing', name, 'THINGS', 'projektor')
