"""A full disk, on a real small file system."""

import os
import subprocess

import pytest

from tests.small import result


@pytest.fixture
def disk(tmp_path):
  """Return a function that mounts a file system of some KiB, or resizes the mounted one."""
  place = tmp_path / 'disk'
  place.mkdir()
  if os.geteuid() != 0:
    pytest.skip('only root can mount a small file system')

  def size(kib):
    again = 'remount,' if os.path.ismount(place) else ''
    options = f'{again}size={kib}k'
    done = subprocess.run(
      ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(place)], capture_output=True, text=True
    )
    if done.returncode:
      pytest.skip(f'no file system can be mounted here: {done.stderr.strip()}')
    return place

  yield size
  subprocess.run(['umount', '-l', str(place)], check=False)


def last_line(output):
  assert 'Traceback' not in output
  return output.strip().splitlines()[-1]


def test_a_full_disk_at_a_save_loses_nothing(command, finish, whole, disk):
  place = disk(1024)
  status, output = finish(command(place / 'run'))
  assert status == 1 and 'no space is left' in last_line(output).lower(), output
  place = disk(200 * 1024)
  status, output = finish(command(place / 'run'))
  assert status == 0, output
  assert result(place / 'run') == whole


def test_a_full_disk_while_data_are_prepared_leaves_no_part_of_them(command, finish, disk):
  place = disk(200)
  status, output = finish(command(place / 'run', f'--config.data.dir={place / "tfds"}'))
  assert status == 1 and 'make room' in last_line(output), output
  place = disk(200 * 1024)
  status, output = finish(
    command(place / 'run', f'--config.data.dir={place / "tfds"}', '--config.total_epochs=1')
  )
  assert status == 0, output
