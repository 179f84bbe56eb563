"""Free memory of devices and of the host, and the share of it that images may take."""

import types

import jax
import pytest

from pidkd_jax.core import host_memory
from pidkd_jax.training import free_memory
from pidkd_jax.training.free_memory import MIB


@pytest.mark.parametrize(
  'stats, expected',
  [
    ({'bytes_limit': 1000, 'bytes_in_use': 100}, 720),
    ({'bytes_limit': 1000}, 800),
    ({}, 400),
    (None, 400),
  ],
)
def test_the_devices_memory_counts_where_it_is_counted(monkeypatch, stats, expected):
  device = types.SimpleNamespace(memory_stats=lambda: stats)
  monkeypatch.setattr(jax, 'local_devices', lambda: [device])
  monkeypatch.setattr(free_memory.host_memory, 'free', lambda: 500)
  assert free_memory.available() == expected


def test_groups_share_only_the_hosts_memory(monkeypatch):
  assert free_memory.per_group(1000, 4) == 250
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert free_memory.per_group(1000, 4) == 1000


def test_images_may_take_a_quarter(monkeypatch):
  monkeypatch.setattr(free_memory.host_memory, 'free', lambda: 40 * 1024 * MIB)
  assert free_memory.STREAMING['auto'](1024 * MIB) == 256 * MIB
  assert free_memory.STREAMING['auto'](1030 * MIB) == 257 * MIB  # Of 257.5.
  # The device has more memory than the host, which holds the images too: 0.25 * 0.8 * 40 GiB.
  assert free_memory.STREAMING['auto'](80 * 1024 * MIB) == 8 * 1024 * MIB
  assert free_memory.STREAMING['always'](2**40) == 0
  assert free_memory.STREAMING['never'](1) is None


def test_processes_of_one_machine_share_its_memory(monkeypatch):
  monkeypatch.setattr(free_memory.host_memory, 'free', lambda: 400 * MIB)
  monkeypatch.setattr(free_memory.processes, 'number_on_host', lambda: 4)
  assert free_memory.available() == 80 * MIB
  assert free_memory.image_limit(2**40) == 20 * MIB
  monkeypatch.setattr(free_memory.host_memory, 'installed', lambda: 800 * MIB)
  assert free_memory.capacity() == 200 * MIB


def test_free_memory_of_the_host(tmp_path):
  assert host_memory.free(tmp_path) > MIB  # As on a system other than Linux.
  meminfo, group = tmp_path / 'proc' / 'meminfo', tmp_path / 'sys' / 'fs' / 'cgroup'
  for path in (meminfo.parent, group):
    path.mkdir(parents=True)
  meminfo.write_text('MemTotal: 9000 kB\nMemFree: 50 kB\nMemAvailable:   4000 kB\n')
  assert host_memory.free(tmp_path) == 4_096_000
  (group / 'memory.current').write_text('1000\n')
  for limit, expected in (('max', 4_096_000), ('3001000', 3_000_000), ('9000000', 4_096_000)):
    (group / 'memory.max').write_text(f'{limit}\n')
    assert host_memory.free(tmp_path) == expected


def test_the_files_that_a_container_caches_count_as_free(tmp_path):
  (tmp_path / 'proc').mkdir()
  (tmp_path / 'proc' / 'meminfo').write_text('MemAvailable: 4000 kB\n')
  group = tmp_path / 'sys' / 'fs' / 'cgroup'
  group.mkdir(parents=True)
  (group / 'memory.max').write_text('3000\n')
  (group / 'memory.current').write_text('2900\n')
  (group / 'memory.stat').write_text('anon 900\nfile 2000\ninactive_file 1500\nactive_file 400\n')
  assert host_memory.free(tmp_path) == 2000


@pytest.mark.parametrize(
  ('line', 'mount', 'names', 'stat'),
  [
    ('0::', 'sys/fs/cgroup', ('memory.max', 'memory.current'), ''),
    (
      '4:memory:',
      'sys/fs/cgroup/memory',
      ('memory.limit_in_bytes', 'memory.usage_in_bytes'),
      'total_',
    ),
  ],
  ids=['version 2', 'version 1'],
)
def test_a_batch_job_has_no_more_than_its_limit(tmp_path, line, mount, names, stat):
  (tmp_path / 'proc' / 'self').mkdir(parents=True)
  (tmp_path / 'proc' / 'meminfo').write_text('MemAvailable: 4000 kB\n')
  (tmp_path / 'proc' / 'self' / 'cgroup').write_text(f'9:cpu,cpuacct:/\n{line}/job_7/step_0/task\n')
  job = tmp_path / mount / 'job_7'
  (job / 'step_0' / 'task').mkdir(parents=True)
  for folder, numbers in ((job, ('3000', '500')), (job / 'step_0', ('max', '400'))):
    for name, number in zip(names, numbers, strict=True):
      (folder / name).write_text(number)
  assert host_memory.free(tmp_path) == 2500
  (job / 'memory.stat').write_text(f'{stat}active_file 30\n{stat}inactive_file 70\n')
  assert host_memory.free(tmp_path) == 2600
