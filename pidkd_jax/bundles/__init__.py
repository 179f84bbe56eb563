"""Bundles: trained networks as self-contained folders.

    bundles.save(folder, network, {'dataset': bundles.dataset_card(spec, normalisation)})
    bundle = bundles.load(folder)      # every byte is checked, no code in the folder runs
    bundle.network, bundle.card

`trained_network` predicts with a bundle, `model_card` describes it for people, and `torch_import`
makes networks from PyTorch checkpoints.
"""

from pidkd_jax.bundles.bundle import Bundle, dataset_card, load, save

__all__ = ['Bundle', 'dataset_card', 'load', 'save']
