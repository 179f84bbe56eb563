"""The host's folders."""

import os
import pathlib
import stat

from pidkd_jax.core import runtime


def test_a_user_without_a_home_has_a_private_cache_folder(monkeypatch):
  def home():
    raise RuntimeError('Could not determine home directory.')

  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setattr(pathlib.Path, 'home', home)
  folder = runtime.cache_folder()
  assert folder == runtime.cache_folder() and folder.name == 'pidkd_jax'
  assert stat.S_IMODE(os.stat(folder.parent).st_mode) == 0o700
