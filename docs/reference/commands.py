"""Write commands.md: what each sub-command of `pidkd` prints for --help.

python docs/reference/commands.py
"""

import importlib
import pathlib

from pidkd_jax.cli import app, help
from pidkd_jax.cli import main as program

PAGE = pathlib.Path(__file__).with_suffix('.md')
_HEAD = """# Commands

One program, `pidkd`, has a sub-command for each job. `python docs/reference/commands.py` makes this
page from what `pidkd COMMAND --help` prints.

- **Configs.** `--config` takes a bare name (`cifar100`, `tiny_imagenet`, `digits`, `image_folder`,
  `condense`; for studies `methods`, `projectors` and so on), a path to a file of yours, or a run's
  `config.json`. `NAME:PAIR`, `NAME:METHODS` and `NAME:PAIR:METHODS` choose networks and methods, as
  in `cifar100:vgg13-vgg8:pidkd,kd_1_1` ([Pairs](pairs.md)). A study takes `NAME:PAIR`.
- **Fields.** `--config.FIELD=VALUE` sets a field ([Configuration fields](configuration.md)).
  `--help` with a config lists all of them with their meanings. `--show` prints where each value
  comes from.
- **Before it runs.** `--dry_run` says data, networks, parameters, multiply-adds, memory, steps and
  an estimate of the time. It makes all checks of a real start. Nothing is trained or written, but
  a data set is prepared where it has to be.
- **Networks of your own** are named `package.module:Class`. Start in the folder that holds the
  package, or put that folder into PYTHONPATH.
- **Mistakes** end in one line and change nothing on disk ([Mistakes](mistakes.md)).
- **Exit status.** 0; 1 for what you can mend; 2 for the command line; 143, 129 or 130 for a run
  stopped by SIGTERM, SIGHUP or Ctrl-C, which the same command resumes.
- **Versions.** `pidkd --version` prints those of the package, Python, JAX and Flax.
- **Without installation**, in a checkout with the dependencies, `python scripts/NAME.py` is the
  same as `pidkd NAME`, and `python scripts/main.py` as `pidkd train`.
"""


def page() -> str:
  """Return the page."""
  parts = [_HEAD]
  for name, path in program.files().items():
    command = importlib.import_module(f'pidkd_jax.cli.commands.{path.stem}')
    flags = app.define(command.define_flags)
    parts.append(f'## {name}\n\n```text\n{help.of_command(command.__doc__, flags)}\n```\n')
    for flag in flags:  # The next command defines its own.
      delattr(app.flags.FLAGS, flag.name)
  return '\n'.join(parts)


if __name__ == '__main__':
  PAGE.write_text(page())
