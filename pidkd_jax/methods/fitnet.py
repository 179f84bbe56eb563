"""A hint from the middle of the teacher.

Source: Romero et al. 2015, arXiv:1412.6550. The paper first trains up to the hint alone and then
distils; RepDistiller, mdistiller and SimKD train with all terms at once, and so do we.
"""

from flax import linen as nn

from pidkd_jax.core.errors import UserError
from pidkd_jax.methods.harness import Harness, paired
from pidkd_jax.nn import losses
from pidkd_jax.nn.initializers import pytorch_default
from pidkd_jax.nn.layers import ConvNorm
from pidkd_jax.nn.resize import match_resolution


class FitNet(Harness):
  """Squared error between the teacher's map and a regression from the student's.

  The regressor is a 1x1 convolution, norm and ReLU on maps of equal size. The three
  repositories match the sizes by the regressor too, as a strided or transposed convolution.

  Attributes:
    weight: of the squared error, a mean over the map; 100 in all three repositories.
    hint_layer: which stage, from 1; 1 in SimKD, 2 in RepDistiller and mdistiller.
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
