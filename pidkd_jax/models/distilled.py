"""What a student with a shared classifier is when it is deployed: a model like any other."""

import jax

from pidkd_jax.core.types import Network
from pidkd_jax.models.base import Model
from pidkd_jax.nn.projectors import ProjectorStack
from pidkd_jax.nn.resize import average_to


class Distilled(Model):
  """A student's encoder, the projectors, and the teacher's classifier.

  Source: Zuo et al. 2024, doi:10.1007/s40747-024-01394-3, abstract. The teacher's encoder
  never runs: of `teacher` only the classifier has parameters here.

  Attributes:
    student: gives the distillation map.
    teacher: gives `classify`.
    num_projectors: q.
    hidden: m, the width within each projector.
    integration: a name in `layers.INTEGRATIONS`.
    target: (H_t, W_t, C_t) of the teacher's target map at the training size.
    target_rectified: whether that map is behind a ReLU.
  """

  student: Model
  teacher: Model
  num_projectors: int
  hidden: int
  integration: str
  target: tuple[int, int, int]
  target_rectified: bool

  aligned = True

  def setup(self):
    self.projectors = ProjectorStack(
      features=self.target[-1],
      num_projectors=self.num_projectors,
      hidden=self.hidden,
      integration=self.integration,
      rectified=self.target_rectified,
    )

  @property
  def rectified(self) -> bool:
    # A convex combination of rectified maps is not negative either.
    return self.target_rectified

  def trunk(self, image, train):
    return self.student.trunk(image, train)

  def head(self, last, train=False):
    last = self.student.distillation_map(last, train)
    return self.projectors(average_to(last, self.target[:2]), train)

  def classify(self, pooled: jax.Array) -> jax.Array:
    return self.teacher.classify(pooled)


def extract_student(network: Network) -> Network:
  """Of a distilled network its student, without projectors and a classifier; of others all."""
  if not isinstance(network.model, Distilled):
    return network
  parts = {name: tree['student'] for name, tree in network.variables.items() if 'student' in tree}
  return Network(parts, network.model.student)


def split_projectors(network: Network) -> list[Network]:
  """A distilled network with each of its q projectors by itself.

  Where the mean integrates them, the mean of their squared errors is the error of the whole and
  the mean square of their distances from it: what averaging gains is by how much they differ
  (ambiguity decomposition, Krogh and Vedelsby, NIPS 7, 1995).

  Args:
    network: a `Distilled` with its variables.

  Returns:
    q networks of one projector each.
  """

  def one(i, tree):
    if 'projectors' not in tree:
      return tree
    stack = jax.tree.map(lambda leaf: leaf[i : i + 1], tree['projectors']['projectors'])
    return {**tree, 'projectors': {'projectors': stack}}

  model = network.model.clone(num_projectors=1)
  return [
    Network({name: one(i, tree) for name, tree in network.variables.items()}, model)
    for i in range(network.model.num_projectors)
  ]
