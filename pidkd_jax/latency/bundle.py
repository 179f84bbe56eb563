"""Worker that runs a bundle with JAX: python -m pidkd_jax.latency.bundle FOLDER [OWN ...]"""

import sys

from pidkd_jax import models
from pidkd_jax.bundles import trained_network
from pidkd_jax.latency import worker


def main(folder: str, *own: str) -> None:
  """Serve a bundle; `own` are models of the user's own, as 'module:Class'."""
  worker.serve(lambda: trained_network.load(folder, models.families(*own)).logits)


if __name__ == '__main__':
  main(*sys.argv[1:])
