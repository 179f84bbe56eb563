"""Softmax regression representation learning: the teacher's classifier reads the student.

Loss: feature_weight * mean (c - f_t)^2 + weight * mean (classifier_t(c) - t)^2, where
c = relu(BN(W f_s)) and t are the teacher's logits; beside it, `Harness` has CE and KD.

Source: Yang et al. 2021, "Knowledge distillation via softmax regression representation learning",
ICLR.

Departures: the authors' code connects the last map, from He-normal weights. SimKD's code, whose
results we compare with, connects its spatial mean, from PyTorch's default, as does this file.
"""

from flax import linen as nn

from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn import losses
from pidkd_jax.nn.initializers import pytorch_default
from pidkd_jax.nn.layers import ConvNorm


class SRRL(Harness):
  """Squared errors of connected features, and of the logits that the teacher gives them.

  The connector is a linear layer and a norm, with a ReLU where the teacher's feature is behind one.

  Attributes:
    weight: of the error of the logits, the regression; 1 in the authors' code and SimKD.
    feature_weight: of the error of the features; 1 in both, and the authors' code scales it never.
  """

  weight: float = 1.0
  feature_weight: float = 1.0

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del batch, progress
    target = teacher.features.pooled
    connector = ConvNorm(target.shape[-1], 1, kernel_init=pytorch_default, name='connector')
    connected = connector(features.pooled[:, None, None], train=True)[:, 0, 0]
    if teacher.features.rectified:
      connected = nn.relu(connected)
    logits = teacher.network.classify(connected)
    return {
      'feature': self.feature_weight * losses.mean_squared_error(connected, target),
      'regression': self.weight * losses.mean_squared_error(logits, teacher.logits),
    }


METHODS = {'srrl': SRRL}
