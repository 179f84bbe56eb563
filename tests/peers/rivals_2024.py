"""Run the authors' losses of later rivals on `inputs`, and write rivals_2024.json.

    python -m tests.peers.rivals_2024 FOLDER

FOLDER holds clones of hunto/image_classification_sota, roymiles/Simple-Recipe-Distillation,
Alibaba-MIIL/HeadSharingKD, OSVAI/NORM, zkxufo/TTM, GzyAftermath/CAT-KD, zhengli97/CTKD and
sunshangquan/logit-standardization-KD, each under its second name. None of their code is here. The
losses of VkD and NORM stand in the midst of their training loops, so PyTorch's own functions
repeat them. All is float64.
"""

import json
import math
import pathlib
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tests.peers import inputs
from tests.peers.collect import classes

HERE = pathlib.Path(__file__).parent


def main(folder: pathlib.Path) -> None:
  torch.set_default_dtype(torch.float64)
  content = {method.__name__: method(folder) for method in (dist, srd, thkd, norm, wttm, ctkd)}
  content |= {name: catkd(folder, *chosen) for name, chosen in inputs.CATKD.items()}
  content |= {name: mlkd(folder, *chosen) for name, chosen in inputs.MLKD.items()}
  content |= {name: vkd(*pooled) for name, pooled in inputs.VKD.items()}
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


def vkd(student: np.ndarray, teacher: np.ndarray) -> dict:
  """VkD's loss of features, three lines of `train_one_epoch` in its engine.py, by PyTorch."""
  channels, features = student.shape[-1], teacher.shape[-1]
  projector = nn.utils.parametrizations.orthogonal(nn.Linear(channels, features, bias=False))
  base, generator = map(torch.tensor, inputs.orthogonal(channels, features))
  [made] = projector.parametrizations.weight
  original = projector.parametrizations.weight.original
  made.base = base
  with torch.no_grad():
    # PyTorch has -1 on the diagonal, and the transpose where there are fewer outputs than inputs.
    generator -= torch.eye(*generator.shape)
    original.copy_(generator.T if features < channels else generator)
  pooled = tensor(student)
  normalized = functional.layer_norm(torch.tensor(teacher), (features,))
  found = measured(functional.smooth_l1_loss(projector(pooled), normalized), {'pooled': pooled})
  gradient = original.grad.T if features < channels else original.grad
  found['gradients']['generator'] = inputs.summary(gradient.contiguous().numpy())
  return found


def thkd(folder: pathlib.Path) -> dict:
  """TH-KD's loss by the teacher's classifier, on a feature of as many channels as the teacher's."""
  [loss] = classes(folder / 'HeadSharingKD/kd_teacher_head/kdth.py', 'KDTH', CRDLoss=None)
  kernel, bias = map(torch.tensor, inputs.CLASSIFIER)
  student, own = tensor(inputs.TEACHER_POOLED), torch.tensor(inputs.STUDENT_LOGITS)
  logits = [own, student @ kernel + bias]
  value = 0.02 * loss(T=4)(logits, torch.tensor(inputs.TEACHER_LOGITS))
  return measured(value, {'pooled': student})


def norm(folder: pathlib.Path) -> dict:
  """NORM's whole loss in epoch 100, N = 2, with weights 0.1 of labels and 0.5 of the divergence."""
  [layer] = classes(folder / 'NORM/models/cifar/resnet_student.py', 'conv_1x1_bn')
  [divergence] = classes(folder / 'NORM/distiller_zoo/KD.py', 'DistillKL')
  leaves, layers = {'map': tensor(inputs.STUDENT_MAP)}, {}
  for name in ('expand', 'reduce'):
    matrix, scale, shift = inputs.NORM[name]
    layers[name] = layer(*matrix.shape)
    conv, normalize = layers[name]
    given = matrix.T[:, :, None, None], scale, shift
    for parameter, value in zip((conv.weight, normalize.weight, normalize.bias), given):
      parameter.data = torch.tensor(value)
    leaves |= {f'{name}_kernel': conv.weight, f'{name}_scale': normalize.weight}
    leaves[f'{name}_bias'] = normalize.bias
  kernel, bias = map(tensor, inputs.NORM['head'])
  wide = layers['expand'](leaves['map'])
  pooled = (layers['reduce'](wide) + leaves['map']).mean((2, 3))
  logits, taught = (
    2.5 * functional.layer_norm(each, (inputs.CLASSES,), eps=1e-7)
    for each in (pooled @ kernel + bias, torch.tensor(inputs.TEACHER_LOGITS))
  )
  target = tensor(inputs.TEACHER_MAP).detach().repeat(1, 2, 1, 1)
  value = (
    0.1 * functional.cross_entropy(logits, torch.tensor(inputs.LABEL))
    + 0.5 * divergence(4)(logits, taught)
    + 2 * functional.mse_loss(wide, target)
  )
  leaves |= {'head_kernel': kernel, 'head_bias': bias}
  found = measured(value, leaves)
  for name in ('expand', 'reduce'):  # [M, C, 1, 1] of a kernel becomes [C, M].
    gradient = leaves[f'{name}_kernel'].grad[:, :, 0, 0].T
    found['gradients'][f'{name}_kernel'] = inputs.summary(gradient.contiguous().numpy())
  return found


def wttm(folder: pathlib.Path) -> dict:
  """WTTM as in the authors' example beside CRD."""
  [loss] = classes(folder / 'TTM/distiller_zoo/wttm.py', 'WTTM')
  student = tensor(inputs.STUDENT_LOGITS)
  value = 4.0 * loss(0.2)(student, torch.tensor(inputs.TEACHER_LOGITS))
  return measured(value, {'logits': student})


def catkd(folder: pathlib.Path, weight: float, resolution: int, normalize: bool) -> dict:
  """CAT-KD's loss of the maps, whose 1x1 convolution PyTorch's product repeats."""
  path = folder / 'CAT-KD/mdistiller/distillers/CAT_KD.py'
  [loss] = classes(path, 'CAT_loss', Distiller=nn.Module)
  student, kernel = tensor(inputs.STUDENT_MAP), tensor(inputs.OWN_CLASSIFIER[0])
  maps = (
    torch.einsum('bchw,ck->bkhw', features, matrix)
    for features, matrix in (
      (student, kernel),
      (tensor(inputs.TEACHER_MAP).detach(), torch.tensor(inputs.CLASSIFIER[0])),
    )
  )
  value = weight * loss(*maps, resolution, normalize)
  return measured(value, {'map': student, 'kernel': kernel})


def ctkd(folder: pathlib.Path) -> dict:
  """CTKD's divergence; a line of the authors' loop turns the parameter into a temperature."""
  given = {'Function': torch.autograd.Function}
  names = 'Global_T', 'GradientReversalFunction'
  learned, _ = classes(folder / 'CTKD/models/temp_global.py', *names, **given)
  [divergence] = classes(folder / 'CTKD/distiller_zoo/KD.py', 'DistillKL')
  [decay] = classes(folder / 'CTKD/train_student.py', 'CosineDecay', math=math)
  level = learned()
  level.global_T.data.fill_(inputs.LEVEL)
  factor = decay(max_value=0, min_value=-1, num_loops=10).get_value(inputs.EPOCH)
  student, target = tensor(inputs.STUDENT_LOGITS), torch.tensor(inputs.TEACHER_LOGITS)
  temperature = 1.0 + 20.0 * torch.sigmoid(level(target, student, factor))
  temperature.cuda = lambda: temperature  # It stays where it is.
  value = 0.9 * divergence()(student, target, temperature)
  return measured(value.sum(), {'logits': student, 'level': level.global_T})


def mlkd(folder: pathlib.Path, standardize: bool, temperature: float, weight: float) -> dict:
  """MLKD's whole loss by the code of logit standardisation, which holds the authors' as well."""
  path = folder / 'logit-standardization-KD/mdistiller/distillers/MLKD.py'
  [kind] = classes(path, 'MLKD', Distiller=nn.Module)
  loss = object.__new__(kind)  # Its constructor asks for networks.
  nn.Module.__init__(loss)
  loss.temperature, loss.logit_stand = temperature, standardize
  loss.ce_loss_weight, loss.kd_loss_weight = 0.1, weight
  taught = torch.tensor(inputs.TEACHER_LOGITS), torch.tensor(inputs.STRONG_TEACHER_LOGITS)
  views = tensor(inputs.STUDENT_LOGITS), tensor(inputs.STRONG_STUDENT_LOGITS)
  # An image is the place of its view.
  loss.student, loss.teacher = (lambda view, of=of: (of[view], None) for of in (views, taught))
  _, terms = loss.forward_train(0, 1, torch.tensor(inputs.LABEL))
  return measured(sum(terms.values()), dict(zip(('logits', 'strong'), views)))


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))
