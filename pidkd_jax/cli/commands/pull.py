"""Fetch a bundle from the Hugging Face hub.

    pidkd pull user/name students/pidkd

Only the files of a bundle are taken, and they are checked before they are kept.
Nothing in them can run code. A network of your own is named by --own.
"""

from absl import flags

from pidkd_jax import models
from pidkd_jax.bundles import hub
from pidkd_jax.bundles.trained_network import TrainedNetwork
from pidkd_jax.cli import bundle_flags
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError, listed, printable

FLAGS = flags.FLAGS

# The number of files whose names are printed.
_MOST = 10


def define_flags():
  flags.DEFINE_string('revision', '', 'Branch, tag or commit; by default the main branch.')
  bundle_flags.define_own()


def main(*names):
  if len(names) != 2:
    raise UserError('a repository and a new folder are needed: pidkd pull user/name FOLDER')
  repository, folder = names
  pulled = hub.pull(
    repository,
    local_path.resolve('folder', folder),
    revision=FLAGS.revision,
    own=models.families(*FLAGS.own),
  )
  print(f'{pulled.bundle.folder}: {TrainedNetwork(pulled.bundle)}')
  print(f'from {repository}, commit {pulled.commit}')
  if pulled.passed_over:
    print(f'not taken: {printable(listed(pulled.passed_over, _MOST))}')
