"""FitNet: the student's map at one stage regresses the teacher's, a hint.

Loss: weight * mean (relu(BN(W F_s)) - F_t)^2 at stage `hint_layer`; beside it, `Harness` has CE and
KD.

Source: Romero et al. 2015, arXiv:1412.6550.

Departures: the paper trains in two phases, first up to the hint alone. RepDistiller, mdistiller and
SimKD train with all terms at once, as does this file. Their regressor is a strided or transposed
convolution where the sizes differ; here the larger map is averaged.
"""

from flax import linen as nn

from pidkd_jax.core.errors import UserError
from pidkd_jax.methods.harness import Harness, paired
from pidkd_jax.nn import losses
from pidkd_jax.nn.initializers import pytorch_default
from pidkd_jax.nn.layers import ConvNorm
from pidkd_jax.nn.resize import match_resolution


class FitNet(Harness):
  """FitNet, with a 1x1 convolution, norm and ReLU as regressor.

  Attributes:
    weight: of the squared error; 100 in SimKD, RepDistiller and mdistiller.
    hint_layer: the stage, from 1; 1 in SimKD, 2 in RepDistiller and mdistiller.
  """

  weight: float = 100.0
  hint_layer: int = 1

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del batch, progress
    pairs = paired(features, teacher.features)
    if not 1 <= self.hint_layer <= len(pairs):
      raise UserError(f'hint_layer is {self.hint_layer}; this pair has 1 to {len(pairs)}')
    guided, hint = match_resolution(*pairs[self.hint_layer - 1])
    regressor = ConvNorm(hint.shape[-1], 1, kernel_init=pytorch_default, name='regressor')
    guided = nn.relu(regressor(guided, train=True))
    return {'feature': self.weight * losses.mean_squared_error(guided, hint)}


METHODS = {'fitnet': FitNet}
