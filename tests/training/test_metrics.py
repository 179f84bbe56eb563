"""The log of metrics: rows survive kills and resumes, and TensorBoard shows them."""

import json
import struct
import time

import pytest
from tensorboardX.proto import event_pb2

from pidkd_jax.training import metrics
from pidkd_jax.training.metrics import MetricsLog


def row(step, member='kd-0', **metrics):
  return {'step': step, 'epoch': step // 10, 'member': member, 'train_loss': 0.5, **metrics}


@pytest.fixture
def workdir(tmp_path):
  """Return the folder of a run of three epochs and two members."""
  log = MetricsLog(tmp_path, 0)
  for step in (10, 20, 30):
    log.write([row(step), row(step, 'pidkd-0')])
  log.close()
  return tmp_path


def steps(rows):
  return [(row['step'], row['member']) for row in rows]


ALL = [(step, member) for step in (10, 20, 30) for member in ('kd-0', 'pidkd-0')]


def test_rows_are_read_as_they_were_written(workdir):
  assert metrics.read(workdir)[0] == row(10)
  assert steps(metrics.read(workdir)) == ALL


def test_a_run_that_has_not_begun_has_no_rows(tmp_path):
  assert metrics.read(tmp_path) == []


def test_a_resume_drops_later_rows_and_repeats_none(workdir):
  resumed = MetricsLog(workdir, 20)
  assert steps(metrics.read(workdir)) == ALL[:4]
  resumed.write([row(30, again=1.0), row(30, 'pidkd-0')])
  resumed.close()
  rows = metrics.read(workdir)
  assert steps(rows) == ALL
  assert rows[4]['again'] == 1.0


def test_a_resume_at_the_last_step_drops_nothing(workdir):
  resumed = MetricsLog(workdir, 30)
  resumed.close()
  assert steps(metrics.read(workdir)) == ALL


def test_a_start_from_the_beginning_drops_everything(workdir):
  MetricsLog(workdir, 0).close()
  assert metrics.read(workdir) == []


@pytest.mark.parametrize('tail', ['{"step": 40, "epoch"', '{"step": 40, "mem\n', '\x00\x00'])
def test_a_line_cut_short_by_a_kill_is_dropped(workdir, tail):
  path = workdir / 'metrics.jsonl'
  with path.open('a') as file:
    file.write(tail)
  assert steps(metrics.read(workdir)) == ALL
  resumed = MetricsLog(workdir, 40)
  resumed.write([row(40)])
  resumed.close()
  assert steps(metrics.read(workdir)) == [*ALL, (40, 'kd-0')]
  for line in path.read_text().splitlines():
    json.loads(line)


def events(workdir):
  """Read TensorBoard's files: [(step, tag, value)], and the steps where a run goes on."""
  scalars, starts = [], []
  for path in (workdir / 'tensorboard').iterdir():
    data = path.read_bytes()
    while data:  # A record: length, checksum of the length, event, checksum of the event.
      [length] = struct.unpack('<Q', data[:8])
      event = event_pb2.Event.FromString(data[12 : 12 + length])
      data = data[16 + length :]
      scalars += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
      if event.HasField('session_log'):
        starts.append(event.step)
  return scalars, starts


def test_tensorboard_gets_the_metrics_and_not_the_counts(workdir):
  scalars, starts = events(workdir)
  assert scalars == [(step, f'{member}/train_loss', 0.5) for step, member in ALL]
  assert starts == []


def test_tensorboard_drops_events_after_a_resume(workdir, monkeypatch):
  later = time.time() + 60
  monkeypatch.setattr(time, 'time', lambda: later)
  resumed = MetricsLog(workdir, 20)
  resumed.write([row(30, test_top1=0.25)])
  resumed.close()
  scalars, starts = events(workdir)
  assert starts == [21]
  # The first file still holds the earlier events.
  expected = [(step, f'{member}/train_loss', 0.5) for step, member in ALL]
  expected += [(30, 'kd-0/train_loss', 0.5), (30, 'kd-0/test_top1', 0.25)]
  assert sorted(scalars) == sorted(expected)
