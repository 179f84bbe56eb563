"""The caches of jobs: whether a start has filled them in the same environment."""

import json
import pathlib

from benchmarks.gpu.part import Place


def note(place: Place) -> None:
  """Note that a start of the main job has reached its first step with these caches."""
  path = _path(place)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(place.environment), encoding='utf-8')


def are_full(place: Place) -> bool:
  """Return whether a start has filled the caches, with equal versions and hardware."""
  path = _path(place)
  return path.exists() and json.loads(path.read_text(encoding='utf-8')) == place.environment


def _path(place: Place) -> pathlib.Path:
  return place.caches / 'environment.json'
