"""Bundles of random weights, where a job only needs networks of the right size. It imports JAX."""

import pathlib

import jax
import jax.numpy as jnp

from benchmarks.gpu import job
from benchmarks.gpu.part import Place
from pidkd_jax import data, models
from pidkd_jax.bundles import bundle
from pidkd_jax.models.network import Network


def random(place: Place, full: str, toy: str) -> pathlib.Path:
  """Return the folder of a bundle.

  Args:
    full: the network.
    toy: the one that stands for it in the short form.
  """
  name = toy if place.short else full
  folder = place.shared / f'bundle-{name.replace("*", "-")}'
  if not (folder / 'manifest.json').exists():
    spec = data.load(
      'cifar100',
      directory=str(place.shared / 'tfds'),
      archive=str(job.archive(place)),
      verify=False,
    ).spec
    model = models.create(name, num_classes=len(spec.class_names))
    image = jnp.zeros((1, *spec.image_shape))
    variables = jax.jit(model.init)(jax.random.key(0), image)
    card = {'dataset': bundle.dataset_card(spec, spec.normalisation)}
    bundle.save(folder, Network(variables, model), card)
  return folder


def teacher(place: Place) -> pathlib.Path:
  """Return a bundle of the teacher's size."""
  return random(place, 'resnet32x4', 'resnet8*0.25')
