"""Names of datasets as titles show them."""

import re


def readable(name: str) -> str:
  """Return a name for a title; that of a user's own archive or folder loses its checksum.

  Example:
    >>> readable('unverified_tin100_20_59388eb3')
    'tin100-20 (unverified)'
    >>> readable('cifar100')
    'cifar100'
  """
  own = re.fullmatch(r'(unverified|folder)_(.+)_[0-9a-f]{8}', name)
  if not own:
    return name
  kind, words = own.groups()
  return f'{words.replace("_", "-")} ({kind})'
