"""Splits in memory: nothing is allocated for records that cannot be there."""

import types

import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.data.pipeline import resident_reader


def test_more_records_than_bytes_are_refused_before_memory_is_taken(tmp_path, monkeypatch):
  path = tmp_path / 'train.array_record'
  path.write_bytes(bytes(1000))
  file = types.SimpleNamespace(filename=str(path), examples_in_shard=10**11)
  split = types.SimpleNamespace(
    files=[file], damage_error=lambda name, error: UserError(f'{name} is damaged ({error})')
  )
  monkeypatch.setattr(np, 'empty', lambda *_: pytest.fail('it took memory'))
  with pytest.raises(UserError, match='100,000,000,000 records cannot lie in its 1,000 bytes'):
    resident_reader.read_split(split)
