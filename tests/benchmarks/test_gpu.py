"""The benchmark of a GPU: parts in order, within their time, each row once, and a report of all."""

import json
import pathlib
import re
import subprocess
import time

import numpy as np
import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import job, report, runner
from benchmarks.gpu.part import Part, Record, take
from benchmarks.gpu.parts import PARTS, calls, determinism, profile, start, steps
from benchmarks.gpu.trace import summarize


def part(name='toy', seconds=60.0, **rows):
  return Part(name, f'The {name}', seconds, lambda place: rows)


def start_here(given, folder, short, seconds):
  """Run a part in this process."""
  path = folder / f'{given.name}.json'
  take(given, runner.place(given, folder, short), path, time.monotonic() + seconds)
  return ''


def run(parts, folder, seconds=600.0, start=start_here, short=True):
  said = []
  runner.run(parts, folder, seconds, short, start, said.append)
  return said


def test_what_the_folder_has_is_not_measured_again_and_what_failed_is(tmp_path):
  calls = []

  def good():
    calls.append('good')
    return {'ms': 1.5}

  def bad():
    calls.append('bad')
    raise ValueError('no\nluck')

  toy = part(good=good, bad=bad, last=good)
  run([toy], tmp_path)
  assert calls == ['good', 'bad', 'good']
  assert Record.read(tmp_path / 'toy.json').rows == {
    'good': {'ms': 1.5},
    'bad': {'failed': 'ValueError: no luck'},
    'last': {'ms': 1.5},
  }
  run([toy], tmp_path)
  assert calls == ['good', 'bad', 'good', 'bad']
  mended = part(good=good, bad=lambda: {'ms': 2.0}, last=good)
  run([mended], tmp_path)
  assert 'already there' in run([mended], tmp_path)[0] and len(calls) == 4


def test_no_measurement_begins_after_the_deadline(tmp_path):
  toy = part(first=lambda: {'ms': 1.0})
  record = take(toy, runner.place(toy, tmp_path, True), tmp_path / 'toy.json', time.monotonic())
  assert (record.rows, record.missing, record.note) == ({}, ['first'], 'out of time')


def test_a_part_gets_its_own_time_and_never_more_than_is_left(tmp_path):
  given = []

  def start(part, folder, short, seconds):
    given.append(seconds)
    return 'out of time'

  said = run([part('a', 50.0), part('b', 5000.0)], tmp_path, 100.0, start, short=False)
  assert given[0] == 50.0 and 99 < given[1] <= 100.0
  assert said[0].startswith('a: 0 of 0 rows') and 'out of time' in said[0]
  assert run([part('c')], tmp_path, 1.0, start) == ['c: no time left'] and len(given) == 2
  run([part('toy', 50.0)], tmp_path, 100.0, start)
  assert 99 < given[2] <= 100.0


def is_running(process):
  try:
    return open(f'/proc/{process}/stat').read().split()[2] != 'Z'
  except FileNotFoundError:
    return False


def wait_for(condition):
  for _ in range(200):
    if condition():
      return True
    time.sleep(0.05)
  return False


def test_a_part_ends_with_the_benchmark_even_by_sigkill(tmp_path):
  noted = tmp_path / 'part'
  part = f"""
import os, pathlib, time
from benchmarks.gpu import runner
runner.end_with_parent()
pathlib.Path({str(noted)!r}).write_text(str(os.getpid()))
time.sleep(600)
"""
  benchmark = f"""
import pathlib, sys
from benchmarks.gpu import runner
from tests.benchmarks.test_gpu import part
pathlib.Path({str(tmp_path / 'python')!r}).chmod(0o755)
sys.executable = {str(tmp_path / 'python')!r}
runner.in_process(part(), pathlib.Path({str(tmp_path)!r}), True, 600.0)
"""
  (tmp_path / 'part.py').write_text(part)
  (tmp_path / 'python').write_text(
    f'#!/bin/sh\nPYTHONPATH={runner.ROOT} exec {runner.sys.executable} {tmp_path / "part.py"}\n'
  )
  running = subprocess.Popen([runner.sys.executable, '-c', benchmark], cwd=runner.ROOT)
  assert wait_for(noted.exists) and wait_for(noted.read_text)
  assert is_running(noted.read_text())
  running.kill()
  running.wait()
  assert wait_for(lambda: not is_running(noted.read_text()))


def test_a_part_that_hangs_is_killed_with_all_that_it_started(tmp_path, monkeypatch):
  script = tmp_path / 'hang.py'
  script.write_text(
    'import os, pathlib, subprocess, sys, time\n'
    "process = subprocess.Popen(['sleep', '600'])\n"
    f'pathlib.Path({str(tmp_path / "started")!r}).write_text(str(process.pid))\n'
    'time.sleep(600)\n'
  )
  python = tmp_path / 'python'
  python.write_text(f'#!/bin/sh\nexec {runner.sys.executable} {script}\n')
  python.chmod(0o755)
  monkeypatch.setattr(runner.sys, 'executable', str(python))
  assert runner.in_process(part(), tmp_path, True, 3.0) == 'out of time'
  child = (tmp_path / 'started').read_text()
  assert wait_for(lambda: not is_running(child))


def keep(path, planned, **rows):
  """Write a part's file of rows {name: (row, environment)}."""
  record = Record(planned)
  for name, (row, environment) in rows.items():
    record.add(name, row, environment)
  record.write(path)


def test_the_report_has_tables_failures_and_what_was_not_reached(tmp_path):
  a, b, c = part('a'), part('b'), part('c')
  here = {'device': 'toy'}
  keep(
    tmp_path / 'a.json',
    ['x', 'y', 'z'],
    x=({'ms': 1.23456, 'equal': True}, here),
    y=({'failed': 'E: no'}, here),
  )
  keep(tmp_path / 'b.json', ['u'], u=({'ms': 2}, here))
  report.write(tmp_path, [a, b, c])
  assert (tmp_path / 'report.md').read_text() == (
    '# Measured by `python -m benchmarks.gpu`\n\ndevice toy\n\n'
    '## The a\n\n| | ms | equal |\n|--|--|--|\n| x | 1.235 | yes |\n\n**y** failed: E: no\n\n'
    '## The b\n\n| | ms |\n|--|--|\n| u | 2 |\n\n'
    '## Not reached\n\n- The a: z\n- The c: all of it\n'
  )
  content = json.loads((tmp_path / 'report.json').read_text())
  assert content['parts']['a']['missing'] == ['z']
  assert content['parts']['b']['rows'] == {'u': {'ms': 2}}


def test_the_report_tells_rows_of_another_machine_apart(tmp_path):
  a, b, c = part('a'), part('b'), part('c')
  here, there = {'device': 'H100', 'torch': '2.11'}, {'device': 'H200', 'torch': '2.11'}
  keep(tmp_path / 'a.json', ['x', 'y'], x=({'ms': 1}, here), y=({'ms': 2}, there))
  keep(tmp_path / 'b.json', ['u'], u=({'ms': 3}, there))
  (tmp_path / 'c.json').write_text('{"planned": ["w"], "rows": {"w": {"ms": 4}}}')  # Before.
  report.write(tmp_path, [a, b, c])
  text = (tmp_path / 'report.md').read_text()
  assert 'Compare only rows of one.' in text
  assert '\n1. device H100, torch 2.11\n2. device H200\n3. device unknown, torch unknown\n' in text
  assert '| y | 2 |\n\nEnvironment 1: x. Environment 2: y.\n' in text
  assert '| u | 3 |\n\nEnvironment 2.\n' in text
  content = json.loads((tmp_path / 'report.json').read_text())
  assert content['environments'] == [here, there, {}]
  assert content['parts']['a']['environment'] == {'x': 0, 'y': 1}


def test_a_row_is_kept_with_its_environment(tmp_path):
  toy = part(first=lambda: {'ms': 1.0}, second=lambda: {'ms': 2.0})
  path = tmp_path / 'toy.json'
  keep(path, ['first'], first=({'ms': 3.0}, {'device': 'a'}))
  record = take(toy, runner.place(toy, tmp_path, True, {'device': 'b'}), path)
  assert record.rows['first'] == {'ms': 3.0}
  assert [record.environment(name)['device'] for name in ('first', 'second')] == ['a', 'b']
  assert Record.read(path) == record


def test_the_environment_has_both_sides_and_the_device():
  from benchmarks.gpu import environment  # Here and below: tests of processes import this file.

  found = environment.current()
  assert {'jax', 'torch', 'device', 'cores'} <= found.keys()
  assert 'unknown' not in (found['jax'], found['torch'])
  assert json.loads(json.dumps(found)) == found


def test_a_warm_start_has_caches(tmp_path, monkeypatch):
  """The first start of a copy without `work` is no warm one, though the folder has the cold row."""
  from benchmarks.gpu import bundles

  began = []

  def kill_after(line, command, env):
    caches = pathlib.Path(env['XDG_CACHE_HOME'])
    began.append('warm' if (caches / 'programs').exists() else 'cold')
    (caches / 'programs').mkdir(parents=True, exist_ok=True)
    return float(len(began))

  monkeypatch.setattr(job, 'kill_after', kill_after)
  monkeypatch.setattr(job, 'archive', lambda place: place.shared / 'noise.tar.gz')
  monkeypatch.setattr(bundles, 'teacher', lambda place: place.shared / 'bundle')

  def measure(folder, name, device='a'):
    place = runner.place(start.PART, folder, True, {'device': device})
    return start.measurements(place)[name]()['first step after (s)']

  assert measure(tmp_path / 'one', 'empty caches') == 1.0
  assert measure(tmp_path / 'one', 'full caches') == 2.0
  assert began == ['cold', 'warm']
  assert measure(tmp_path / 'copy', 'full caches') == 4.0
  assert began[2:] == ['cold', 'warm']
  assert measure(tmp_path / 'copy', 'full caches', device='b') == 6.0


def test_rows_of_calls_differ_in_one_thing(tmp_path, monkeypatch):
  from benchmarks.gpu import training
  from pidkd_jax.training.calls import Calls

  class Toy:
    def __init__(self, short, precision, steps_per_call, look_ahead):
      self.calls = Calls(steps_per_call, look_ahead)

    def milliseconds(self):
      return 1.0

  monkeypatch.setattr(training, 'Training', Toy)
  rows = calls.measurements(runner.place(calls.PART, tmp_path, False))
  found = [measure() for measure in rows.values()]
  divisions = [(row['steps a call'], row['look_ahead']) for row in found]
  assert [ahead for _, ahead in divisions].count(1) == len(divisions) - 1
  [(steps, ahead)] = [one for one in divisions if one[1] != 1]
  assert (steps, 1) in divisions and ahead == 5


def documented():
  """Return {part: seconds} of the table in docs/lab/performance.md."""
  text = (runner.ROOT / 'docs/lab/performance.md').read_text()
  section = text.partition('\n## On a GPU\n')[2].partition('\n## ')[0]
  return {
    name: int(seconds) for name, seconds in re.findall(r'^\| `(\w+)` \| (\d+) \|', section, re.M)
  }


def test_the_documentation_has_the_parts_in_their_order():
  assert list(documented().items()) == [(part.name, part.seconds) for part in PARTS]


def test_what_matters_most_is_reached_by_default():
  names = [part.name for part in PARTS[:6]]
  assert names == ['steps', 'start', 'epochs', 'profile', 'determinism', 'main_job']
  assert sum(part.seconds for part in PARTS[:6]) <= 60 * command.MINUTES


def test_the_command_refuses_a_folder_of_the_other_size(tmp_path, capsys):
  def nothing(part, folder, short, seconds):
    return ''

  arguments = ['--out', str(tmp_path), '--parts', 'calls']
  assert command.main([*arguments, '--short'], nothing) == 0
  assert 'Several steps a call: all of it' in (tmp_path / 'report.md').read_text()
  with pytest.raises(SystemExit):
    command.main(arguments, nothing)
  assert 'was measured with --short' in capsys.readouterr().err


def test_a_step_against_the_best_form_and_research_code():
  rows = {
    f'bfloat16, {form}': {'precision': 'bfloat16', 'form': form, 'ratio': ratio}
    for form, ratio in {'compiled_graph': 0.76, 'graph': 1.1, 'plain': 5.6}.items()
  }
  assert steps.summary(rows) == [
    'bfloat16: ours at 0.76 times the speed of the best form (compiled_graph), 5.60 times research '
    'code (plain).'
  ]
  alone = {name: row for name, row in rows.items() if row['form'] == 'plain'}
  assert steps.summary(alone) == [
    'bfloat16: no compiled form was measured; 5.60 times research code (plain).'
  ]


@pytest.mark.parametrize('fails', ['kill_after', 'finish'])
def test_a_kill_that_tested_no_resume_is_tried_again(tmp_path, monkeypatch, fails):
  """The run of a failed kill has all its bundles; a retry must not take them for resumed ones."""
  kills = []

  def write(command):
    folder = next(pathlib.Path(one[10:]) for one in command if one.startswith('--workdir='))
    (folder / 'bundles' / 'a').mkdir(parents=True, exist_ok=True)
    np.savez(folder / 'bundles' / 'a' / 'variables.npz', kernel=np.zeros(2))

  def kill_after(line, command, env):
    kills.append(command)
    if fails == 'kill_after' and len(kills) == 1:
      write(command)
      raise job.Failed('it has ended')

  def finish(command, env):
    write(command)
    began_anew = fails == 'finish' and len(kills) == 1
    return 1.0, '' if began_anew else determinism.RESUMED

  monkeypatch.setattr(job, 'kill_after', kill_after)
  monkeypatch.setattr(job, 'finish', finish)
  place = runner.place(determinism.PART, tmp_path, True)
  rows = determinism.measurements(place)
  measure = rows['kill -9 after the third epoch, and resume']
  with pytest.raises(job.Failed):
    measure()
  assert measure() == {'arrays': 1, 'bit-identical': True}
  assert len(kills) == 2


def test_a_trace_sums_up_to_busy_time_idle_time_and_kernels():
  def name(kind, pid, tid, value):
    return {'ph': 'M', 'name': kind, 'pid': pid, 'tid': tid, 'args': {'name': value}}

  def event(name, ts, dur, pid=1, tid=7):
    return {'ph': 'X', 'name': name, 'pid': pid, 'tid': tid, 'ts': ts, 'dur': dur}

  found = summarize(
    [
      name('process_name', 1, 0, '/device:GPU:0'),
      name('thread_name', 1, 7, 'Stream #14(Compute)'),
      name('thread_name', 1, 8, 'XLA Ops'),
      name('process_name', 2, 0, '/host:CPU'),
      event('product', 100, 30),
      event('sum', 120, 20),  # Ten of it overlap.
      event('product', 180, 20),
      event('product', 100, 100, tid=8),  # The same work on a line of names.
      event('python', 0, 500, pid=2),
    ]
  )
  assert (found.kernels, found.span, found.busy) == (3, 100, 60)
  assert found.idle == pytest.approx(0.4)
  assert found.by_name == {'product': (50, 2), 'sum': (20, 1)}
  assert summarize([]).idle == 0


# Both train the same cohort, which is compiled once. tests/faults has all parts.
@pytest.mark.parametrize('name', ['steps', 'profile'])
def test_the_short_form_measures_every_row(tmp_path, name):
  [given] = (one for one in PARTS if one.name == name)
  record = take(given, runner.place(given, tmp_path, True), tmp_path / 'part.json')
  assert record.is_complete, record.rows
  assert given.summary(record.good) is not None
  if given is profile.PART:
    assert 'no device' in given.summary(record.good)[0]
