"""Measure how the authors' modules begin, and write initial_values.json.

    python -m tests.peers.collect FOLDER

FOLDER holds clones of DefangChen/SimKD, HobbitLong/RepDistiller, megvii-research/mdistiller,
dvlab-research/ReviewKD and chenyd7/PEFD, each under its second name. None of their code is here.
"""

import ast
import collections
import importlib
import json
import pathlib
import re
import sys
import types

import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
# Of resnet32x4 -> resnet8x4, as in features.json.
CHANNELS, BATCH = (64, 128, 256), 10
# SimKD's networks for ImageNet have names of others.
IMAGENET = re.compile(r'(ResNet|resnext|wrn_50|.*_Imagenet).*')
NETWORK_DRAWS, METHOD_DRAWS = 8, 20


def main(folder: pathlib.Path) -> None:
  torch.manual_seed(0)
  content = {'networks': networks(folder), 'methods': methods(folder)}
  text = json.dumps(content, separators=(',', ':'))
  (HERE / 'initial_values.json').write_text(f'{text}\n')


def measured(make, draws: int) -> dict[str, list]:
  """Return {key: [kind, standard deviation]} of a module's parameters over several draws."""
  states = [make().state_dict() for _ in range(draws)]
  return {
    key: kind(torch.cat([state[key].flatten() for state in states]).double())
    for key in states[0]
    if not re.search('num_batches|running', key)
  }


def kind(values: torch.Tensor) -> list:
  if values.max() == values.min():
    return ['constant', round(float(values[0]), 6)]
  deviation = float(values.std())
  # Of a uniform distribution the largest value is 1.73 standard deviations.
  uniform = float(values.abs().max()) < 1.9 * deviation
  return ['uniform' if uniform else 'normal', float(f'{deviation:.3g}')]


def networks(folder: pathlib.Path) -> dict[str, dict]:
  """Return {name: {'source': code base, 'values': {kind: {deviation: keys}}}}."""
  found = {}
  for source, table in tables(folder):
    for name, make in table.items():
      if name not in found:
        found[name] = {'source': source, 'values': grouped(measured(make, NETWORK_DRAWS))}
  return found


def tables(folder: pathlib.Path):
  """Yield (code base, {name: constructor}), those first that are taken where several have one."""
  sys.modules.setdefault('cv2', types.ModuleType('cv2'))  # mdistiller imports it for detection.
  for source in 'RepDistiller', 'SimKD':
    table = imported(folder / source, 'models').model_dict
    yield (
      source,
      {
        name: lambda make=make: make(num_classes=100)
        for name, make in table.items()
        if source != 'SimKD' or not IMAGENET.fullmatch(name)
      },
    )
  module = imported(folder / 'mdistiller', 'mdistiller.models.cifar')
  yield (
    'mdistiller',
    {
      name: lambda make=make: make(num_classes=100)
      for name, (make, _) in module.cifar_model_dict.items()
    },
  )
  tiny = module.tiny_imagenet_model_dict['MobileNetV2'][0]
  yield 'mdistiller', {'MobileNetV2_TinyImageNet': lambda: tiny(num_classes=200)}


def grouped(values: dict[str, list]) -> dict[str, dict[str, list[str]]]:
  """Return {kind: {deviation: keys}} without norms, which all begin at 1 and 0."""
  groups = collections.defaultdict(lambda: collections.defaultdict(list))
  for key, (name, deviation) in values.items():
    weight = values.get(f'{key.rpartition(".")[0]}.weight', [''])
    if weight[0] != 'constant':
      groups[name][str(deviation)].append(key)
  return groups


def imported(folder: pathlib.Path, package: str):
  """Import a package from a folder; others of the same name make way."""
  for name in list(sys.modules):
    if name.partition('.')[0] in ('models', 'mdistiller'):
      del sys.modules[name]
  sys.path.insert(0, str(folder))
  try:
    return importlib.import_module(package)
  finally:
    sys.path.pop(0)


def classes(path: pathlib.Path, *names: str, **given) -> list[type]:
  """Return classes of a file whose imports may not be there, with what else it uses as `given`."""
  body = [
    node
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.ClassDef | ast.FunctionDef)
  ]
  space = {'nn': nn, 'torch': torch, 'F': nn.functional, 'np': importlib.import_module('numpy')}
  space |= given
  exec(compile(ast.Module(body, []), str(path), 'exec'), space)  # The user's own clone.
  return [space[name] for name in names]


def methods(folder: pathlib.Path) -> dict[str, dict[str, list]]:
  """Return {method: {this package's path: [kind, deviation]}}."""
  shapes = {'s_n': CHANNELS[-1], 't_n': CHANNELS[-1]}
  hint, simkd, srrl, attention = classes(
    folder / 'SimKD/models/util.py', 'ConvReg', 'SimKD', 'SRRL', 'SelfA'
  )
  [vid] = classes(folder / 'SimKD/distiller_zoo/VID.py', 'VIDLoss')
  [embed] = classes(folder / 'SimKD/crd/criterion.py', 'Embed')
  [fusion] = classes(folder / 'ReviewKD/CIFAR-100/model/reviewkd.py', 'ABF')
  [project] = classes(folder / 'PEFD/models/util.py', 'Reg')
  levels = ((256, False), (256, True), (128, True), (64, True))  # The last level first.
  makers = {
    'fitnet': lambda: hint(*2 * [(2, CHANNELS[0], 32, 32)]),
    'simkd_published': lambda: simkd(**shapes, factor=2),
    'vid': lambda: nn.ModuleList([vid(c, c, c) for c in CHANNELS]),
    'srrl': lambda: srrl(**shapes),
    'semckd': lambda: attention(BATCH, list(CHANNELS), list(CHANNELS), 0.5),
    'reviewkd': lambda: nn.ModuleList([fusion(c, CHANNELS[-1], c, fuse) for c, fuse in levels]),
    'pefd': lambda: nn.ModuleList([project(CHANNELS[-1], CHANNELS[-1]) for _ in range(3)]),
    'crd': lambda: nn.ModuleDict({f'embed_{side}': embed(CHANNELS[-1], 128) for side in 'st'}),
  }
  found = {method: measured(make, METHOD_DRAWS) for method, make in makers.items()}
  cases = json.loads((HERE / 'features.json').read_text())['cases']
  return {
    case['method']: {
      re.sub(r' \(leading axis 1\)|\[\d\]', '', entry['product']): found[case['method']][
        entry['peer']
      ]
      for entry in case['parameters']
      if not entry['product'].startswith('(')
    }
    for case in cases
    if case['method'] in found and 'resnet' in case['pair']
  }


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))
