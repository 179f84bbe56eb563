"""Run the authors' losses of later rivals on `inputs`, and write rivals_2024.json.

    python -m tests.peers.rivals_2024 FOLDER

FOLDER holds clones of hunto/image_classification_sota and roymiles/Simple-Recipe-Distillation, each
under its second name. None of their code is here. All is float64.
"""

import json
import pathlib
import sys

import torch
from torch import nn

from tests.peers import inputs
from tests.peers.collect import classes

HERE = pathlib.Path(__file__).parent


def main(folder: pathlib.Path) -> None:
  torch.set_default_dtype(torch.float64)
  content = {method.__name__: method(folder) for method in (dist, srd)}
  text = json.dumps(content, indent=1)
  (HERE / 'rivals_2024.json').write_text(f'{text}\n')


def measured(loss: torch.Tensor, leaves: dict[str, torch.Tensor]) -> dict:
  """Return the loss, and `inputs.summary` of its gradient by each leaf, [B, H, W, C]."""
  loss.backward()
  gradients = {name: last(leaf.grad).numpy() for name, leaf in leaves.items()}
  return {
    'loss': float(loss.detach()),
    'gradients': {name: inputs.summary(gradient) for name, gradient in gradients.items()},
  }


def last(x: torch.Tensor) -> torch.Tensor:
  """Move the channels to the end."""
  return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def tensor(x) -> torch.Tensor:
  """Return a leaf, with the channels of a map after the batch."""
  x = torch.tensor(x)
  return (x.permute(0, 3, 1, 2) if x.ndim == 4 else x).contiguous().requires_grad_()


def dist(folder: pathlib.Path) -> dict:
  """DIST with the settings of configs/strategies/distill/dist_cifar.yaml."""
  [loss] = classes(folder / 'image_classification_sota/lib/models/losses/dist_kd.py', 'DIST')
  student = tensor(inputs.STUDENT_LOGITS)
  value = 2.0 * loss(beta=1.0, gamma=1.0, tau=4.0)(student, torch.tensor(inputs.TEACHER_LOGITS))
  return measured(value, {'logits': student})


def srd(folder: pathlib.Path) -> dict:
  """SRD's loss of features as its configuration for ResNet-34 -> ResNet-18 has it."""
  path = folder / 'Simple-Recipe-Distillation/imagenet/torchdistill/losses/single.py'
  decorators = 'register_single_loss', 'register_loss_wrapper'
  given = dict.fromkeys(decorators, lambda kind: kind)
  [kind] = classes(path, 'OurDistillationLoss', **given)
  loss = object.__new__(kind)  # Its constructor asks for a GPU and 512 channels.
  nn.Module.__init__(loss)
  student, weight = tensor(inputs.STUDENT_POOLED), tensor(inputs.PROJECTOR)
  # A bias would be taken away by the norm.
  loss.embed = lambda x: x @ weight
  loss.bn_s, loss.bn_t = (nn.BatchNorm1d(8, eps=1e-4, affine=False) for _ in range(2))
  value = 2.0 * loss.forward_loss(student, torch.tensor(inputs.TEACHER_POOLED))
  return measured(value, {'pooled': student, 'projector': weight})


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))
