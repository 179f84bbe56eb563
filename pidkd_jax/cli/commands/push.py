"""Publish a bundle on the Hugging Face hub.

    pidkd push runs/cifar100/bundles/pidkd-0 user/name --license=mit

The repository gets the bundle, its arrays as safetensors and a model card with
the measured top-1. Paths on this machine are left out. The token is that of
`hf auth login` or of HF_TOKEN. `pidkd pull` fetches the bundle.
"""

from absl import flags

from pidkd_jax import models
from pidkd_jax.bundles import hub
from pidkd_jax.cli import bundle_flags
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError

FLAGS = flags.FLAGS


def define_flags():
  flags.DEFINE_bool('private', False, 'Make the repository private.')
  flags.DEFINE_string('revision', '', 'Branch; by default the main one.')
  flags.DEFINE_string('license', '', "The hub's name of your license, e.g. apache-2.0.")
  bundle_flags.define_own()


def main(*names):
  if len(names) != 2:
    raise UserError('a bundle and a repository are needed: pidkd push FOLDER user/name')
  folder, repository = names
  address = hub.push(
    local_path.resolve('bundle', folder),
    repository,
    private=FLAGS.private,
    revision=FLAGS.revision,
    license=FLAGS.license,
    own=models.families(*FLAGS.own),
  )
  print(address)
