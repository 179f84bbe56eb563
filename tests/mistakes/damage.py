"""Strategies for files that are damaged at random."""

from hypothesis import settings
from hypothesis import strategies as st

# The same examples every time; nothing is kept beside the tests.
FEW = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
  """Random bytes, or `whole` with some flips, cuts and insertions."""
  place = st.integers(0, max(len(whole) - 1, 0))
  change = st.one_of(
    st.tuples(st.just(_flip), place, st.integers(1, 255)),
    st.tuples(st.just(_cut), place, st.integers(1, len(whole))),
    st.tuples(st.just(_insert), place, st.binary(min_size=1, max_size=16)),
  )
  return st.binary(max_size=200) | st.lists(change, min_size=1, max_size=4).map(
    lambda changes: _changed(whole, changes)
  )


def _changed(content, changes):
  for change, place, value in changes:
    content = change(content, place, value)
  return content


def _flip(content, place, bits):
  if place >= len(content):
    return content
  return content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :]


def _cut(content, place, length):
  return content[:place] + content[place + length :]


def _insert(content, place, more):
  return content[:place] + more + content[place:]
