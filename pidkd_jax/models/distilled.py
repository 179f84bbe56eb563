"""The deployed form of a student that shares its teacher's classifier."""

import jax

from pidkd_jax.models.base import Model
from pidkd_jax.models.network import Network
from pidkd_jax.nn.projectors import ProjectorStack
from pidkd_jax.nn.resize import average_to


class Distilled(Model):
  """A student's encoder, the projectors, and the teacher's classifier: a model like any other.

  The teacher's encoder never runs, so only the classifier of `teacher` has parameters here.

  Attributes:
    student: the model whose distillation map is projected.
    teacher: the model that classifies.
    num_projectors: q.
    hidden: m, the channels within each projector.
    integration: a name in `nn.projectors.INTEGRATIONS`.
    target: (H_t, W_t, C_t), the size of the teacher's target map at the training's image size.
    target_rectified: whether that map is behind a ReLU.

  Source: Zuo et al. 2024, doi:10.1007/s40747-024-01394-3, abstract.
  """

  student: Model
  teacher: Model
  num_projectors: int
  hidden: int
  integration: str
  target: tuple[int, int, int]
  target_rectified: bool

  aligned = True

  def __post_init__(self):
    # Flax creates a module object under the first name that holds it. A student may be the very
    # object that its teacher is or holds, and the classifier would move into the student.
    self.teacher = self.teacher.clone(_deep_clone=True)
    super().__post_init__()

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
  """Return the student of a `Distilled` network, without projectors and classifier.

  Any other network is returned unchanged.
  """
  if not isinstance(network.model, Distilled):
    return network
  variables = {
    collection: tree['student']
    for collection, tree in network.variables.items()
    if 'student' in tree
  }
  return Network(variables, network.model.student)


def split_projectors(network: Network) -> list[Network]:
  """Split a `Distilled` network into q networks of one projector each.

  Where the mean integrates them, the mean of their squared errors is the squared error of the
  whole plus the mean square of their distances from it. What averaging gains is thus their
  spread.

  Source: ambiguity decomposition, Krogh and Vedelsby, NIPS 7, 1995.
  """

  def select(i, tree):
    if 'projectors' not in tree:
      return tree
    projector = jax.tree.map(lambda leaf: leaf[i : i + 1], tree['projectors']['projectors'])
    return {**tree, 'projectors': {'projectors': projector}}

  model = network.model.clone(num_projectors=1)
  return [
    Network({name: select(i, tree) for name, tree in network.variables.items()}, model)
    for i in range(network.model.num_projectors)
  ]
