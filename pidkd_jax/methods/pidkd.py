"""Projector integration with the teacher's classifier.

Source: Zuo et al. 2024, doi:10.1007/s40747-024-01394-3. What its abstract leaves open is chosen
here and listed in the README.
"""

from flax import linen as nn

from pidkd_jax import layers, losses
from pidkd_jax.distilled import Distilled
from pidkd_jax.errors import UserError, at_least_one, unknown
from pidkd_jax.method import Method, subtree
from pidkd_jax.types import Network


class PIDKD(Method):
  """The mean output of q projectors imitates the teacher's target map; no labels are used.

  Attributes:
    num_projectors: q; 3 until a sweep says otherwise for the pair.
    factor: f, the target's channels over a projector's hidden width; 2 is SimKD's best.
    integration: 'mean', or 'learned' convex weights.
    weight: of the squared error, a mean over the map; 1 is SimKD's (arXiv:2203.14001).
  """

  num_projectors: int = 3
  factor: int = 2
  integration: str = 'mean'
  weight: float = 1.0

  def setup(self):
    at_least_one(num_projectors=self.num_projectors)
    channels = self.target.target.shape[-1]
    if not 1 <= self.factor <= channels:
      raise UserError(
        f'factor is {self.factor}; the target map of {channels} channels allows 1 to {channels}'
      )
    if self.integration not in layers.INTEGRATIONS:
      raise unknown('integration', self.integration, layers.INTEGRATIONS)
    self.projectors = layers.ProjectorStack(
      self.num_projectors, self.factor, self.integration, channels, self.target.rectified
    )

  def loss(self, batch, teacher, *, epoch):
    del epoch
    last = self.student.stages(batch.image, train=True)[-1]
    z, target = layers.match_resolution(
      self.student.distillation_map(last, train=True), teacher.features.target
    )
    z = self.projectors(z, train=True)
    return {'feature': self.weight * losses.mean_squared_error(z, target)}

  @nn.nowrap
  def deployed(self, variables, teacher):
    model = Distilled(
      num_classes=teacher.model.num_classes,
      student=self.student,
      teacher=teacher.model,
      num_projectors=self.num_projectors,
      factor=self.factor,
      integration=self.integration,
      target=self.target.target.shape[1:],
      target_rectified=self.target.rectified,
    )
    parts = {
      'student': subtree(variables, 'student'),
      'projectors': subtree(variables, 'projectors'),
      'teacher': teacher.classifier(self.target.pooled),
    }
    collections = {name for part in parts.values() for name in part}
    return Network(
      {
        name: {module: part[name] for module, part in parts.items() if name in part}
        for name in sorted(collections)
      },
      model,
    )


METHODS = {'pidkd': PIDKD}
