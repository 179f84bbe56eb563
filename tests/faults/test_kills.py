"""SIGKILL in a training: at random moments, and while a checkpoint is being written."""

import random
import signal
import time

from tests.small import result, saving

# Saves are short, so random moments may miss them all. Further kills wait for one.
RANDOM, SAVING = 20, 5


def test_a_run_killed_many_times_has_a_bit_identical_result(command, start, finish, home, whole):
  random.seed(0)
  folder = home / 'killed'
  kinds = ['random'] * RANDOM + ['saving'] * SAVING
  random.shuffle(kinds)
  during_save = dict.fromkeys(kinds, 0)
  resumed = 0
  for kind in kinds:
    with start(command(folder)) as process:
      for line in process.stdout:
        resumed += 'goes on at step' in line
        if 'first step took' in line:
          break
      if kind == 'random':
        time.sleep(random.uniform(0, 2))
      while kind == 'saving' and not saving(folder) and process.poll() is None:
        time.sleep(0.001)
      process.kill()
      during_save[kind] += saving(folder) > 0
    assert process.returncode == -signal.SIGKILL
  status, output = finish(command(folder))
  assert status == 0, output
  print(f'{len(kinds)} kills; during a save: {during_save}; {resumed} resumes before the last')
  assert during_save['saving'] > 0 and resumed > len(kinds) // 2
  assert result(folder) == whole
