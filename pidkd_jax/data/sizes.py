"""What networks see of stored images."""

import dataclasses
import hashlib
from typing import Any, cast

from pidkd_jax.core.errors import UserError
from pidkd_jax.data.pipeline.split import Split


def check(image_size: int, teacher_size: int) -> None:
  """Refuse a teacher's size without a smaller one of the students.

  Raises:
    UserError: the students have no size of their own, or none below the teacher's.
  """
  if teacher_size and not 0 < image_size < teacher_size:
    raise UserError(
      f'`teacher_size` is {teacher_size} and `image_size` {image_size}; the students need a'
      " size of their own, smaller than the teacher's: name it with `image_size`"
    )


def seen(
  train: Split, test: Split, fingerprint: str, *, side: int, size: int
) -> tuple[Split, Split, str]:
  """Return splits as networks see them, and their fingerprint.

  The stored images of two crops may be the same, so the crop belongs to the fingerprint.

  Args:
    train: the training split, as it is stored.
    test: the test split.
    fingerprint: of the stored images.
    side: as `Split.side`; 0 to see whole images.
    size: as `Split.size`; 0 where all networks see the same size.
  """
  for field, value, mark in (('side', side, ''), ('size', size, 'to ')):
    if value:
      fingerprint = hashlib.sha256(f'{fingerprint} {mark}{value}'.encode()).hexdigest()
      train, test = (dataclasses.replace(cast(Any, one), **{field: value}) for one in (train, test))
  return train, test, fingerprint
