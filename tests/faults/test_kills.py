"""kill -9 at random moments of one training, most of them while a checkpoint is being written."""

import random
import time

from tests.small import result

KILLS = 20


def test_a_run_killed_twenty_times_ends_as_one_that_was_not(command, start, finish, home, whole):
  random.seed(0)
  folder = home / 'killed'
  during_save, resumed = 0, 0
  for _ in range(KILLS):
    with start(command(folder)) as process:
      for line in process.stdout:
        resumed += 'goes on at step' in line
        if 'first step done' in line:
          break
      time.sleep(random.uniform(0, 2))
      process.kill()
      during_save += any(folder.glob('checkpoints/*tmp*'))
  status, said = finish(command(folder))
  assert status == 0, said
  print(f'{KILLS} kills, {during_save} during a save, {resumed} resumes before the last')
  assert during_save > 0 and resumed > KILLS // 2
  assert result(folder) == whole
