"""SimKD by this package and by PyTorch: the same losses, weights and statistics, step by step.

From equal weights and equal batches the two differ by rounding alone. But a ReLU's gradient jumps
at 0, and once rounding decides the sign of a single input, what was 1e-7 is 1e-3 some steps later;
PyTorch in float32 and PyTorch in float64 part just so. Hence float32 is compared from a start where
no input comes that close to 0 (a test makes sure), and float64, where the question does not arise,
far more strictly.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import torch_import
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import Numbers
from pidkd_jax.types import Batch, Network

torch = pytest.importorskip(
  'torch', reason="needs PyTorch, with which it compares: pip install -e '.[test]'"
)

from tests.pytorch import networks, simkd  # noqa: E402

SEED = 0
STEPS, DROP = 20, 12  # The learning rate drops after the 12th step.
BATCH, SIDE = 16, 8
SETTING = dict(learning_rate=0.05, momentum=0.9, weight_decay=5e-4, drops=(DROP,))

# Relative: of each loss; of each tensor |difference| / |PyTorch's| in the Euclidean norm. What is
# converted from PyTorch is float32 in any case, and so are the package's learning rate and decay.
LOSS = {'float32': 1e-4, 'float64': 1e-7}
TENSOR = {'float32': 1e-3, 'float64': 1e-6}

# How many norms there are on the way from image to target map at each size, 1 / 1 to 1 / 4 of the
# image's: stem and first stage; second; third and projector.
NORMS = {1: 3, 2: 2, 4: 5}
DIVISORS = {
  'stem': 1, 'stage1_block1': 1, 'stage2_block1': 2, 'stage3_block1': 4, 'projectors': 4,
}


class Torch(NamedTuple):
  """A training's start in PyTorch: networks and [B, 3, H, W] batches."""

  student: torch.nn.Module
  projector: torch.nn.Module
  teacher: torch.nn.Module
  batches: list

  def convert(self) -> Network:
    """What would be deployed, and before that the teacher whole."""
    student, projector, teacher = map(arrays, self[:3])
    teacher = torch_import.network(teacher, 'resnet14x2')
    checkpoint = torch_import.Checkpoint(student, projector)
    return teacher, torch_import.distilled(checkpoint, 'resnet8', teacher, (SIDE, SIDE, 3))
