"""Untrusted .npz files give their arrays or a ValueError."""

import io
import zipfile

import numpy as np
import pytest

from pidkd_jax.core import npz


def test_arrays_come_back(tmp_path):
  arrays = {'a': np.arange(6, dtype=np.float32).reshape(2, 3), 'b/c': np.array(7)}
  np.savez(tmp_path / 'a.npz', **arrays)
  result = npz.read(tmp_path / 'a.npz')
  assert result.keys() == arrays.keys()
  for name, array in arrays.items():
    assert result[name].dtype == array.dtype
    np.testing.assert_array_equal(result[name], array)


def test_pickled_objects_are_refused(tmp_path):
  np.savez(tmp_path / 'a.npz', a=np.array([{}], object))
  with pytest.raises(ValueError, match='a.npz is no archive of arrays.*declares object'):
    npz.read(tmp_path / 'a.npz')


def test_a_header_that_declares_more_than_the_file_has_is_refused(tmp_path):
  header = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    header, {'descr': '<f4', 'fortran_order': False, 'shape': (2**40,)}
  )
  with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as file:
    file.writestr('a.npy', header.getvalue())
  with pytest.raises(ValueError, match=r'declares float32\[1099511627776\]'):
    npz.read(tmp_path / 'a.npz')


def test_a_small_file_cannot_declare_a_large_header(tmp_path):
  header = b'\x93NUMPY\x02\x00' + (2**31).to_bytes(4, 'little')
  with zipfile.ZipFile(tmp_path / 'a.npz', 'w', zipfile.ZIP_DEFLATED) as file:
    file.writestr('a.npy', header + b' ' * 10_000)
  with pytest.raises(ValueError, match='a.npy is compressed'):
    npz.read(tmp_path / 'a.npz')


def test_arrays_are_counted(tmp_path):
  np.savez(tmp_path / 'a.npz', a=1, b=2, c=3)
  assert npz.count(tmp_path / 'a.npz') == 3
  (tmp_path / 'a.npz').write_bytes(b'PK')
  with pytest.raises(ValueError, match='no archive of arrays'):
    npz.count(tmp_path / 'a.npz')
