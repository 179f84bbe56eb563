"""How a program starts."""

import sys
import threading

import tqdm

from pidkd_jax.cli import app


def test_bars_take_a_lock_of_this_process(monkeypatch):
  monkeypatch.setattr(app.app, 'run', lambda *_, **__: None)
  monkeypatch.setattr(sys, 'path', [*sys.path])
  monkeypatch.delattr(tqdm.tqdm, '_lock', raising=False)
  app.run(lambda: None)
  assert isinstance(tqdm.tqdm.get_lock(), type(threading.RLock()))
