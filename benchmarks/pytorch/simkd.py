"""SimKD in plain PyTorch: Chen et al. 2022, arXiv:2203.14001.

With `Projectors` in place of its single projector it is PIDKD (doi:10.1007/s40747-024-01394-3).
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.pytorch.networks import Network


class Projector(nn.Module):
  """1x1, 3x3 and 1x1 convolution, each with BatchNorm and ReLU: [B, C_s, H, W] -> [B, C_t, H, W].

  Sec. 3.2; the hidden width is C_t // factor.
  """

  def __init__(self, student_channels: int, teacher_channels: int, factor: int):
    super().__init__()
    hidden = teacher_channels // factor
    layers = []
    for cin, cout, size in (
      (student_channels, hidden, 1),
      (hidden, hidden, 3),
      (hidden, teacher_channels, 1),
    ):
      layers += [
        nn.Conv2d(cin, cout, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(),
      ]
    self.transfer = nn.Sequential(*layers)

  def forward(self, x: Tensor) -> Tensor:
    return self.transfer(x)


class Projectors(nn.ModuleList):
  """Several projectors and their mean: [B, C_s, H, W] -> [B, C_t, H, W]."""

  def forward(self, x: Tensor) -> Tensor:
    return sum(projector(x) for projector in self) / len(self)


def project(
  student: Network, projector: nn.Module, teacher: Network, x: Tensor
) -> tuple[Tensor, Tensor]:
  """Image [B, 3, H, W] -> (projected map, teacher's target map), both [B, C_t, h, w].

  Before the projector the larger of the two maps is average-pooled to the smaller.
  """
  with torch.no_grad():
    target = teacher.features(x)[1]
  source = student.distillation_map(x)
  size = [min(sides) for sides in zip(source.shape[2:], target.shape[2:], strict=True)]
  return projector(F.adaptive_avg_pool2d(source, size)), F.adaptive_avg_pool2d(target, size)


def loss(student: Network, projector: nn.Module, teacher: Network, x: Tensor) -> Tensor:
  """Return the mean squared error of the projected map: image [B, 3, H, W] -> scalar."""
  return F.mse_loss(*project(student, projector, teacher, x))


def sgd(
  student: Network,
  projector: nn.Module,
  learning_rate: float,
  momentum: float,
  weight_decay: float,
  fused: bool | None = None,
) -> torch.optim.SGD:
  """Return SGD on the parameters of student and projector; None leaves its form to PyTorch."""
  parameters = [*student.parameters(), *projector.parameters()]
  return torch.optim.SGD(
    parameters, learning_rate, momentum=momentum, weight_decay=weight_decay, fused=fused
  )


def train(
  student: Network,
  projector: nn.Module,
  teacher: Network,
  batches: Iterable[Tensor],
  learning_rate: float,
  momentum: float,
  weight_decay: float,
  drops: Sequence[int] = (),
) -> list[float]:
  """Train student and projector in place, one SGD step for each batch.

  The student's own classifier, which the loss does not reach, stays as it is, without decay.

  Args:
    student: trained.
    projector: trained.
    teacher: set to inference mode.
    batches: images, each [B, 3, H, W].
    learning_rate: of the first step.
    momentum: SGD's.
    weight_decay: SGD's.
    drops: steps, counted from 0, at which the learning rate is multiplied by 0.1.

  Returns:
    The loss before each step.
  """
  teacher.eval()
  student.train()
  projector.train()
  optimizer = sgd(student, projector, learning_rate, momentum, weight_decay)
  schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, drops, gamma=0.1)
  losses = []
  for images in batches:
    error = loss(student, projector, teacher, images)
    optimizer.zero_grad()
    error.backward()
    optimizer.step()
    schedule.step()
    losses.append(error.item())
  return losses


@torch.no_grad()
def predict(student: Network, projector: nn.Module, teacher: Network, x: Tensor) -> Tensor:
  """Predict by the teacher's classifier in inference mode: image [B, 3, H, W] -> logits [B, K]."""
  for module in (student, projector, teacher):
    module.eval()
  return teacher.classify(project(student, projector, teacher, x)[0].mean((2, 3)))
