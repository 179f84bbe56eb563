"""List the methods, or the hyper-parameters of some.

    pidkd methods --names pidkd,kd_1_1

`pidkd train` takes them behind the name of a config: digits:pidkd,kd_1_1.
"""

from absl import flags

from pidkd_jax import methods
from pidkd_jax.cli import listing


def define_flags():
  flags.DEFINE_list('names', [], 'Only these with their hyper-parameters, by commas.')


def main():
  names = flags.FLAGS.names
  if not names:
    print(listing.of((name, methods.summary(name)) for name in methods.names()))
  for name in names:
    print(f'{name}: {methods.summary(name)}\n')
    print(listing.of_method(name, methods.defaults(name)) + '\n')
