"""Two processes that train as one: stopped, killed, and resumed by two or by one."""

import signal
import socket
import time

import pytest

from pidkd_jax.training import metrics
from tests.small import result, saving

KILLS = 2  # The other process takes half a minute to notice each.


@pytest.fixture
def pair(command, start):
  """Return a function that starts `pidkd train` as two processes."""

  def pair(folder, *more):
    with socket.socket() as free:
      free.bind(('localhost', 0))
      port = free.getsockname()[1]
    common = [f'--coordinator=localhost:{port}', '--num_processes=2']
    return [start(command(folder, *common, f'--process_id={index}', *more)) for index in (0, 1)]

  return pair


def until(process, text):
  for line in process.stdout:
    if text in line:
      return line
  pytest.fail(f'it ended without {text!r}: {process.wait()}')


def test_a_stopped_and_killed_pair_is_resumed_by_one_process(command, finish, pair, home):
  folder = home / 'together'
  first, second = pair(folder)
  until(first, 'epoch 10/40')
  second.send_signal(signal.SIGTERM)  # One receives the signal, both stop at the same step.
  output = [
    process.communicate(timeout=60)[0].strip().splitlines()[-1] for process in (first, second)
  ]
  assert first.returncode == second.returncode == 143
  assert output[0] == output[1] and output[0].startswith('stopped by SIGTERM at step')

  first, second = pair(folder)
  until(first, 'goes on at step')
  until(first, 'epoch 20/40')
  second.kill()
  killed = time.monotonic()
  output, _ = first.communicate(timeout=60)
  # If a message to the other process fails, the error names it. If none is sent, JAX aborts.
  line = output.strip().splitlines()[-1]
  assert first.returncode == -signal.SIGABRT or line.startswith('another process was lost'), output
  assert first.returncode and 'Traceback' not in output
  print(f'the other one ended {time.monotonic() - killed:.0f} s after the kill')

  status, output = finish(command(folder))
  assert status == 0, output
  assert 'goes on at step' in output
  rows = metrics.read(folder)
  assert [row['step'] for row in rows if row['member'] == 'pidkd-0'] == list(range(10, 401, 10))
  assert rows[-1]['train_loss'] < rows[0]['train_loss']


def test_a_pair_killed_during_saves_has_a_bit_identical_result(pair, home):
  """Each process is killed once, and both are started again."""
  rare = ('--config.total_epochs=3', '--config.checkpoint_seconds=60')
  whole, folder = home / 'together-whole', home / 'together-killed'
  for process in pair(whole, *rare):
    output, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, output

  during_save = 0
  for number in range(KILLS):
    both = pair(folder, '--config.total_epochs=3')  # A save after every step.
    until(both[0], 'its first run took')
    killed, other = both[number % 2], both[1 - number % 2]
    deadline = time.monotonic() + 120
    while saving(folder) < 4 * (number + 1) and time.monotonic() < deadline:
      time.sleep(0.001)
    killed.kill()
    during_save += saving(folder) > 0
    killed.wait()
    other.communicate(timeout=120)
    assert other.returncode != 0
  resumed = 0
  for process in pair(folder, *rare):
    output, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, output
    resumed += 'goes on at step' in output
  print(f'{KILLS} kills of one of two processes, {during_save} during a save')
  assert during_save > 0 and resumed == 1  # Only the first process logs.
  assert result(folder) == result(whole)
