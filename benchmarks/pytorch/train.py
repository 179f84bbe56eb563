"""Train a network on an archive in CIFAR-100's binary format, and save it as RepDistiller does.

python -m benchmarks.pytorch.train --archive X.tar.gz --model resnet8 --epochs 8 --out x.pth
"""

import argparse
import tarfile

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.pytorch import networks

MEAN = torch.tensor((0.5071, 0.4867, 0.4408)).view(3, 1, 1)
STD = torch.tensor((0.2675, 0.2565, 0.2761)).view(3, 1, 1)
DROPS = (0.625, 0.75, 0.875)  # Fractions of the training after which the learning rate drops.
PADDING = 4


def read(archive: str) -> tuple[dict[str, tuple[Tensor, Tensor]], int]:
  """Return ({split: (uint8 images [N, 3, 32, 32], labels [N])}, number of classes)."""
  with tarfile.open(archive) as tar:

    def content(name):
      return tar.extractfile(f'cifar-100-binary/{name}').read()

    splits = {}
    for split in ('train', 'test'):
      # A record: coarse label, fine label, 1024 bytes each of red, green and blue.
      records = np.frombuffer(content(f'{split}.bin'), np.uint8).reshape(-1, 2 + 3072)
      images = torch.from_numpy(records[:, 2:].reshape(-1, 3, 32, 32).copy())
      splits[split] = images, torch.from_numpy(records[:, 1].astype(np.int64))
    return splits, len(content('fine_label_names.txt').split())


def normalize(images: Tensor) -> Tensor:
  """Normalise uint8 images; returns float32 of the same shape."""
  mean, std = (x.to(images.device) for x in (MEAN, STD))
  return (images / 255 - mean) / std


def augment(images: Tensor) -> Tensor:
  """Pad images with black, crop them at random, and flip half of them.

  Args:
    images: [B, 3, H, W] of any dtype, which is kept.
  """
  batch, _, height, width = images.shape
  padded = F.pad(images, [PADDING] * 4)
  windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # [B, 3, rows, columns, H, W]
  device = images.device
  row, column = torch.randint(2 * PADDING + 1, (2, batch), device=device)
  crops = windows[torch.arange(batch, device=device), :, row, column]
  return torch.where(torch.rand(batch, 1, 1, 1, device=device) < 0.5, crops.flip(3), crops)


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
  """Return top-1 and top-5 in percent, in inference mode."""
  network.eval()
  logits = torch.cat([network(normalize(part)) for part in images.split(500)])
  ranked = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
  return tuple(100 * ranked[:, :k].any(1).double().mean().item() for k in (1, 5))


def train_epoch(network, optimizer, images: Tensor, labels: Tensor, batch_size: int) -> float:
  """Train for one pass in random order; return the mean loss."""
  network.train()
  total = 0.0
  for index in torch.randperm(len(images)).split(batch_size):
    loss = F.cross_entropy(network(normalize(augment(images[index]))), labels[index])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item() * len(index)
  return total / len(images)


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--archive', required=True, help='tar.gz with cifar-100-binary/')
  parser.add_argument('--model', required=True, choices=networks.names(), metavar='MODEL')
  parser.add_argument('--epochs', type=int, default=240)
  parser.add_argument('--batch_size', type=int, default=64)
  parser.add_argument('--lr', type=float, default=0.05)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--out', required=True, help='the checkpoint to write')
  args = parser.parse_args()

  torch.manual_seed(args.seed)
  splits, num_classes = read(args.archive)
  network = networks.create(args.model, num_classes)
  optimizer = torch.optim.SGD(network.parameters(), args.lr, momentum=0.9, weight_decay=5e-4)
  best = 0.0
  for epoch in range(args.epochs):
    drops = sum(epoch >= part * args.epochs for part in DROPS)
    optimizer.param_groups[0]['lr'] = args.lr * 0.1**drops
    loss = train_epoch(network, optimizer, *splits['train'], args.batch_size)
    top1, top5 = accuracy(network, *splits['test'])
    best = max(best, top1)
    print(f'epoch {epoch + 1}: loss {loss:.4f}, test top-1 {top1:.3f}', flush=True)
  torch.save(
    {
      'epoch': args.epochs,
      'model': network.state_dict(),
      'optimizer': optimizer.state_dict(),
      'best_acc': best,
    },
    args.out,
  )
  print(f'top-1 {top1:.3f} top-5 {top5:.3f}')


if __name__ == '__main__':
  main()
