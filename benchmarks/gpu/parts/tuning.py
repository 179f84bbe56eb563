"""What XLA's tuning costs at the start and gives per step, by the flags that a user may set."""

import functools
import shutil

from benchmarks.gpu.part import Measurements, Part, Place, Row

# {row: flags}, most important first. In the first row are those that every training sets.
CHOICES = {
  'as shipped': '',
  "XLA's own flags": '--xla_gpu_enable_triton_gemm=true',
  'no tuning': '--xla_gpu_autotune_level=0',
  # Loops that are graphs hold convolutions, which are in no graph by default.
  'graphs over loops': '--xla_gpu_enable_command_buffer=+WHILE,+CONVOLUTION',
  # The same candidates without the comparison of their results.
  'results not compared': '--xla_gpu_autotune_level=3',
  # Reductions and transposes by XLA's own emitter alone, without Triton's beside it.
  'fusions not timed': '--xla_gpu_experimental_enable_fusion_autotuner=false',
  'graphs over loops, without convolutions': '--xla_gpu_enable_command_buffer=+WHILE',
}


def measurements(place: Place) -> Measurements:
  """Return one measurement for each choice, each with empty caches."""

  def measure(flags: str) -> Row:
    from benchmarks.gpu import flagged

    programs = place.folder / 'programs'
    shutil.rmtree(programs, ignore_errors=True)
    return flagged.step(place, flags, programs)

  names = list(CHOICES)[:1] if place.short else list(CHOICES)
  return {name: functools.partial(measure, CHOICES[name]) for name in names}


PART = Part(
  'tuning', "XLA's tuning and graphs: a start with empty caches, and a step", 300, measurements
)
