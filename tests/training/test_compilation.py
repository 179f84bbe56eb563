"""Programs that compile side by side, before they are called."""

import logging
import threading

import pytest

from pidkd_jax.training.compilation import compile_all


class Lowered:
  """A program whose compilation is a call."""

  def __init__(self, compile):
    self.compile = compile


def test_all_programs_are_compiled_and_their_number_is_said_before(caplog):
  compiled = []
  programs = [lambda: Lowered(lambda: compiled.append(caplog.messages[0])) for _ in range(3)]
  with caplog.at_level(logging.INFO, 'pidkd_jax'):
    compile_all('students', programs)
  assert compiled == ['students: compiling 3 programs ...'] * 3


def test_an_error_of_a_compilation_is_raised():
  def fail():
    raise ZeroDivisionError

  with pytest.raises(ZeroDivisionError):
    compile_all('students', [lambda: Lowered(fail)])


def test_a_stop_cancels_what_has_not_begun(monkeypatch):
  monkeypatch.setattr('os.cpu_count', lambda: 1)
  begun, stopped, compiled = threading.Event(), threading.Event(), []

  def first():
    begun.set()
    stopped.wait(10)
    compiled.append(1)

  def stop():
    begun.wait(10)
    threading.Timer(0.05, stopped.set).start()
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    compile_all(
      'students',
      [lambda: Lowered(first), lambda: Lowered(lambda: compiled.append(2)), stop],
    )
  assert compiled == [1]
