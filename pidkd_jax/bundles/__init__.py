"""Bundles: trained networks as self-contained folders.

    bundles.save(folder, network, {'dataset': bundles.dataset_card(spec, normalisation)})
    bundle = bundles.load(folder)      # every byte is checked, no code in the folder runs
    bundle.network, bundle.card

`trained_network` predicts with a bundle, `model_card` describes it for people, `torch_import` makes
networks from PyTorch checkpoints, and `hub` shares bundles.
"""

from typing import TYPE_CHECKING

from pidkd_jax.bundles.bundle import Bundle, dataset_card, load, save
from pidkd_jax.core import lazy

if TYPE_CHECKING:
  from pidkd_jax.bundles import hub, torch_import

__all__ = ['Bundle', 'dataset_card', 'hub', 'load', 'save', 'torch_import']

__getattr__, __dir__ = lazy.attach(
  __name__, {name: f'{__name__}.{name}' for name in ('hub', 'torch_import')}
)
