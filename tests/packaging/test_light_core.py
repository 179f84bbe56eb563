"""What works without the extra `train`, and what is said where it is needed.

One process has none of its modules, and forks for each command before JAX runs.
"""

import json
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from PIL import Image

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.core import extras
from pidkd_jax.models.network import Network
from tests.small import ROOT

_SCRIPT = """
import contextlib, inspect, json, os, pydoc, sys, traceback
modules, commands = json.loads(sys.argv[1])
for name in modules:
  sys.modules[name] = None  # An import raises ModuleNotFoundError.
import pidkd_jax as kd
from pidkd_jax.cli import main
from pidkd_jax.cli import app
import pidkd_jax.cli.commands.predict
said = []
for number, command in enumerate(commands):
  child = os.fork()
  if not child:
    status = 0
    for stream, end in (1, 'out'), (2, 'err'):
      os.dup2(os.open(f'{number}.{end}', os.O_CREAT | os.O_WRONLY), stream)
    sys.argv = ['pidkd', *command]
    try:
      main.main()
    except SystemExit as end:
      status = end.code or 0
    except BaseException:
      traceback.print_exc()
      status = 99
    sys.stdout.flush()
    os._exit(status)
  status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
  said.append([status, open(f'{number}.out').read(), open(f'{number}.err').read()])
public = []
for use in (lambda: kd.train, lambda: kd.distill, lambda: kd.data.load, lambda: kd.data.names()):
  with contextlib.suppress(kd.UserError):
    use()
    public.append('no error')
from pidkd_jax import report
try:
  report.study
except kd.UserError as error:
  public.append(str(error))
try:
  from pidkd_jax import train
except kd.UserError as error:
  public.append(str(error))
kd.data.from_arrays, kd.load, kd.models.names(), kd.methods.names(), kd.evaluation.evaluate
members = [name for name, _ in inspect.getmembers(kd)]
helped = pydoc.render_doc(kd, renderer=pydoc.plaintext)
there = [hasattr(kd, 'train'), getattr(kd, 'train', 'none'), hasattr(kd, 'load')]
print(json.dumps([said, public, members, helped, there]))
"""

WORKS = {
  'predict': ['predict', 'bundle', 'images/ant/0.png'],
  'evaluate': ['evaluate', '--bundle=bundle', '--images=images'],
}
NEEDS = {
  'train': ['train', '--config=demo', '--workdir=run'],
  'study': ['study', '--config=methods', '--workdir=run'],
  'condense': ['condense', '--config=condense', '--bundle=bundle', '--workdir=run'],
  'latency': ['latency', '--bundle=bundle', '--out=latency'],
}
# {what needs the extra: a command that uses it}
USES = {
  'pidkd_jax.data.load': ['evaluate', '--bundle=bundle', '--data=digits'],
  'pidkd_jax.report.study': ['report', 'run', '--out=results'],
}
ALL = WORKS | NEEDS | USES


@pytest.fixture(scope='module')
def answers(fill, tmp_path_factory):
  """Return {label: (status, stdout, stderr)} of the commands, and what public names answer."""
  folder = tmp_path_factory.mktemp('light')
  model = models.create('resnet8*0.25', num_classes=2)
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
  facts = {'name': 'toy', 'class_names': ['ant', 'bee'], 'image_shape': (8, 8, 3)}
  facts |= {'mean': (0.5, 0.5, 0.5), 'std': (0.25, 0.25, 0.25)}
  bundle.save(folder / 'bundle', Network(fill(shapes), model), {'dataset': facts})
  (folder / 'images' / 'ant').mkdir(parents=True)
  Image.new('RGB', (8, 8)).save(folder / 'images' / 'ant' / '0.png')
  request = json.dumps([extras.EXTRAS['train'], list(ALL.values())])
  done = subprocess.run(
    [sys.executable, '-W', 'ignore', '-c', _SCRIPT, request],
    cwd=folder,
    env=os.environ | {'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  said, *public = json.loads(done.stdout.splitlines()[-1])
  return dict(zip(ALL, said, strict=True)), *public


@pytest.mark.parametrize('label', WORKS)
def test_inference_needs_no_package_of_training(answers, label):
  status, out, err = answers[0][label]
  assert status == 0 and out, err


@pytest.mark.parametrize('label', [*NEEDS, *USES])
def test_what_needs_them_says_how_in_one_line(answers, label):
  status, _, err = answers[0][label]
  who = f'pidkd {label}' if label in NEEDS else label
  assert status == 1
  assert re.fullmatch(rf"{who} needs \w+: pip install 'pidkd_jax\[train\]'\n", err), err


def test_public_names_say_so_too(answers):
  names = ('pidkd_jax.report.study', 'pidkd_jax.train')
  for name, said in zip(names, answers[1], strict=True):
    assert re.fullmatch(rf"{name} needs \w+: pip install 'pidkd_jax\[train\]'", said), said


def test_a_name_that_is_missing_stops_no_inspection(answers):
  _, _, members, helped, there = answers
  assert {'load', 'methods', 'models'} <= {*members} and 'train' not in members
  assert 'train(' not in helped.partition('FUNCTIONS')[2] and '    load(' in helped
  assert there == [False, 'none', True]
