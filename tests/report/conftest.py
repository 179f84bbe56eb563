"""Reports without pictures, which take most of their time."""

import pytest

from pidkd_jax.report import run_report, study_report
from pidkd_jax.report.figures import canvas

# The first bytes of a PNG file.
PNG = b'\x89PNG\r\n\x1a\n'


@pytest.fixture
def undrawn(monkeypatch):
  """Let reports make their figures and write a few bytes in the place of each picture."""
  monkeypatch.setattr(canvas, 'save', lambda figure, path: path.write_bytes(PNG))


@pytest.fixture
def without_figures(monkeypatch):
  """Let reports make no figures."""
  monkeypatch.setattr(run_report, '_FIGURES', ())
  monkeypatch.setattr(study_report, 'FIGURES', {})
