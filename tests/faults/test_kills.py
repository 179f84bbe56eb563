"""kill -9 in one training, half of the times at a random moment and half during a save."""

import random
import signal
import time

from tests.small import result, saving

KILLS = 20


def test_a_run_killed_twenty_times_ends_as_one_that_was_not(command, start, finish, home, whole):
  random.seed(0)
  folder = home / 'killed'
  during_save, resumed = 0, 0
  for number in range(KILLS):
    with start(command(folder)) as process:
      for line in process.stdout:
        resumed += 'goes on at step' in line
        if 'first step done' in line:
          break
      if number % 2:
        time.sleep(random.uniform(0, 1))
      else:
        while not saving(folder) and process.poll() is None:
          time.sleep(0.001)
      process.kill()
      during_save += saving(folder) > 0
    assert process.returncode == -signal.SIGKILL
  status, said = finish(command(folder))
  assert status == 0, said
  print(f'{KILLS} kills, {during_save} during a save, {resumed} resumes before the last')
  assert during_save >= KILLS // 4 and resumed > KILLS // 2
  assert result(folder) == whole
