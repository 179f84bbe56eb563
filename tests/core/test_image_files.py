"""The images of a folder, and what is passed over."""

import pytest

from pidkd_jax.core import image_files


def test_images_below_are_found_in_order_and_the_rest_is_counted(tmp_path):
  for name in ('b.png', 'a.JPG', 'sub/c.webp', 'sub/deep/d.bmp', 'notes.txt', '.hidden.png'):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'')
  for name in ('.cache', '@eaDir'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'thumbnail.png').write_bytes(b'')
  (tmp_path / 'sub' / 'back').symlink_to(tmp_path)
  paths, others = image_files.find(tmp_path)
  found = [path.relative_to(tmp_path).as_posix() for path in paths]
  assert found == ['a.JPG', 'b.png', 'sub/c.webp', 'sub/deep/d.bmp']
  assert others == {'.txt': 1, 'hidden': 1}


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
  with pytest.raises(image_files.UserError, match='cannot be read .*; mend or remove it'):
    image_files.find(tmp_path / 'nope')
