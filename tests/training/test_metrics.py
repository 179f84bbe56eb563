"""The log of metrics: rows survive kills and resumes, and TensorBoard shows them."""

import csv
import json
import struct
import time

import pytest
from tensorboardX.proto import event_pb2

from pidkd_jax.core.errors import UserError
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


def table(workdir):
  with (workdir / 'metrics.csv').open(newline='') as file:
    return list(csv.DictReader(file))


def test_the_table_has_the_rows_in_their_order_with_cumulative_time(tmp_path):
  log = MetricsLog(tmp_path, 0)
  log.write([row(10, wall_seconds=2.0), row(10, 'pidkd-0')])
  log.write([row(20, wall_seconds=3.5, test_top1=0.25), row(20, 'a,b-0')])
  log.close()
  rows = table(tmp_path)
  assert list(rows[0])[:5] == ['step', 'epoch', 'member', 'label', 'cumulative_seconds']
  assert [(int(row['step']), row['member']) for row in rows] == steps(metrics.read(tmp_path))
  assert [row['cumulative_seconds'] for row in rows] == ['2.0', '', '5.5', '']
  assert [row['test_top1'] for row in rows] == ['', '', '0.25', '']


def test_the_table_follows_the_log_after_a_kill(workdir):
  before = (workdir / 'metrics.csv').read_text()
  with (workdir / 'metrics.csv').open('a') as file:
    file.write('40,4,kd-')
  resumed = MetricsLog(workdir, 20)
  resumed.write([row(30), row(30, 'pidkd-0')])
  resumed.close()
  assert (workdir / 'metrics.csv').read_text() == before
  assert not list(workdir.glob('*.partial*'))


def test_the_table_counts_time_on_after_a_resume(tmp_path):
  for step in (10, 20):
    log = MetricsLog(tmp_path, step - 10)
    log.write([row(step, wall_seconds=2.0)])
    log.close()
  assert [row['cumulative_seconds'] for row in table(tmp_path)] == ['2.0', '4.0']


def events(workdir):
  """Read TensorBoard's files: [(run, step, tag, value)], and [(run, step)] where a run goes on."""
  scalars, starts = [], []
  for path in (workdir / 'tensorboard').rglob('events*'):
    data, run = path.read_bytes(), str(path.parent.relative_to(workdir / 'tensorboard'))
    while data:  # A record: length, checksum of the length, event, checksum of the event.
      [length] = struct.unpack('<Q', data[:8])
      event = event_pb2.Event.FromString(data[12 : 12 + length])
      data = data[16 + length :]
      for value in event.summary.value:
        text = b''.join(value.tensor.string_val).decode()
        scalars.append((run, event.step, value.tag, text or value.simple_value))
      if event.HasField('session_log'):
        starts.append((run, event.step))
  return sorted(scalars), sorted(starts)


def test_tensorboard_gets_the_metrics_of_a_member_as_a_run(workdir):
  scalars, starts = events(workdir)
  assert scalars == sorted((member, step, 'train_loss', 0.5) for step, member in ALL)
  assert starts == []


def test_tensorboard_drops_events_after_a_resume(workdir, monkeypatch):
  later = time.time() + 60
  monkeypatch.setattr(time, 'time', lambda: later)
  resumed = MetricsLog(workdir, 20)
  resumed.write([row(30, test_top1=0.25)])
  resumed.close()
  scalars, starts = events(workdir)
  assert starts == [('kd-0', 21)]
  # The first file still holds the earlier events.
  expected = [(member, step, 'train_loss', 0.5) for step, member in ALL]
  expected += [('kd-0', 30, 'train_loss', 0.5), ('kd-0', 30, 'test_top1', 0.25)]
  assert scalars == sorted(expected)


def test_tensorboard_drops_all_events_of_a_training_that_begins_anew(workdir):
  (workdir / 'config.json').write_text('{}')
  for _ in range(2):
    again = MetricsLog(workdir, 0)
    again.write([row(10)])
    again.close()
  _, starts = events(workdir)
  # The first file had no configuration, so the next to have one is no restart.
  assert starts == [('.', 0), ('kd-0', 0), ('kd-0', 0)]


def test_tensorboard_gets_the_teacher_as_a_level_line(tmp_path):
  log = MetricsLog(tmp_path, 0)
  for step in (10, 20):
    log.write([row(step)], {'test_top1': 0.75})
  log.write([row(30)])
  log.close()
  scalars, _ = events(tmp_path)
  level = [one for one in scalars if one[0] == 'teacher']
  assert level == [('teacher', step, 'test_top1', 0.75) for step in (10, 20)]
  assert 'teacher' not in (tmp_path / 'metrics.jsonl').read_text()


@pytest.mark.parametrize('part', ['', 'part-1'])
def test_tensorboard_has_the_configuration_once(tmp_path, part):
  (tmp_path / 'config.json').write_text('{"student": "resnet8*0.5"}')
  if part:
    (tmp_path / 'parts.json').write_text('{}')
    (tmp_path / part).mkdir()
  for step in (0, 10):
    log = MetricsLog(tmp_path / part, step)
    log.write([row(step + 10)])
    log.close()
  scalars, _ = events(tmp_path / part)
  [(run, step, tag, text)] = [one for one in scalars if isinstance(one[3], str)]
  assert (run, step, tag) == ('.', 0, 'configuration/text_summary')
  assert text == '    {\n      "student": "resnet8*0.5"\n    }'


def test_a_line_that_is_nested_too_deeply_is_named(workdir):
  path = workdir / 'metrics.jsonl'
  path.write_text('[' * 100_000 + '\n' + path.read_text())
  with pytest.raises(UserError, match='is damaged at line 1'):
    metrics.read(workdir)
