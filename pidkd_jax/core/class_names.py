"""Comparison of the classes of networks and data sets, by name and order."""

from collections.abc import Sequence


def class_difference(ours: Sequence[str] | None, theirs: Sequence[str] | None) -> str:
  """Return where the classes of two networks or data sets differ, or ''; None stands for any.

  Example:
    >>> class_difference(['ant', 'bee'], ['bee', 'ant'])
    "they have another order (class 0 is 'ant' and 'bee')"
  """
  if ours is None or theirs is None or list(ours) == list(theirs):
    return ''
  if len(ours) != len(theirs):
    return f'there are {len(ours)} and {len(theirs)}'
  number = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
  how = 'another order' if sorted(ours) == sorted(theirs) else 'other names'
  return f'they have {how} (class {number} is {ours[number]!r} and {theirs[number]!r})'
