"""Mistakes that follow from the bounds of flags and fields, and from the registered names."""

from pidkd_jax.cli.main import files
from pidkd_jax.experiment.fields import FIELDS
from tests.cli import command_flags
from tests.mistakes.material import NETWORK
from tests.mistakes.mistake import command

train = command(
  'train',
  '--config=digits:pidkd',
  '--workdir=run',
  f'--config.student={NETWORK}',
  f'--config.teacher.model={NETWORK}',
)
_PAIR = (f'--teacher={NETWORK}', f'--student={NETWORK}')
_IN_PAIR = "model in the pair 'vgg13-vgg8x':"

# What takes a registered name: the command, the kind, the argument, and a name.
_NAMES = (
  (command('train', '--workdir=run'), 'method', '--config=digits:{}', 'pidkd'),
  (command('train', '--workdir=run'), _IN_PAIR, '--config=cifar100:vgg13-{}', 'vgg8'),
  (command('train', '--workdir=run'), 'config', '--config={}', 'digits'),
  (command('study', '--workdir=run'), _IN_PAIR, '--config=methods:vgg13-{}', 'vgg8'),
  (command('study', '--workdir=run', '--config=methods'), 'row', '--rows={}', 'pidkd'),
  (train, 'model', '--config.student={}', 'resnet8x4'),
  (train, 'model', '--config.teacher.model={}', 'resnet8x4'),
  (train, 'dataset', '--config.data.name={}', 'digits'),
  (train, 'data.streaming', '--config.data.streaming={}', 'never'),
  (train, 'precision', '--config.precision={}', 'bfloat16'),
  (train, 'teacher.precision', '--config.teacher.precision={}', 'bfloat16'),
  (train, 'optimizer', '--config.optimizer={}', 'adamw'),
  (train, 'teacher.optimizer', '--config.teacher.optimizer={}', 'adamw'),
  (train, 'schedule', '--config.schedule={}', 'cosine'),
  (train, 'augment', '--config.augment={}', 'trivial'),
  (train, 'teacher.schedule', '--config.teacher.schedule={}', 'cosine'),
  (train, 'integration', '--config.method.integration={}', 'mean'),
  (command('plan'), 'model', '--teacher={}', 'resnet8x4'),
  (command('benchmark', *_PAIR), 'method', '--method={}', 'pidkd'),
  (command('benchmark', *_PAIR), 'hyper-parameter of pidkd', '--set={}=2', 'factor'),
  (command('probe', '--bundle=bundles/digits'), 'dataset', '--data={}', 'digits'),
  (command('evaluate', '--bundle=bundles/digits'), 'dataset', '--data={}', 'digits'),
  (command('export', '--out=exported'), 'format', '--format={}', 'stablehlo'),
  (
    command('latency', '--out=latency', '--bundle=bundles/digits'),
    'platform',
    '--platform={}',
    'cpu',
  ),
  (
    command('import-torch', '--out=imported', '--checkpoint=torch/text.pth'),
    'model',
    '--model={}',
    'resnet8x4',
  ),
  (command('report', '--out=report', 'runs/good'), 'baseline', '--baseline={}', 'simkd'),
)


def names():
  """Yield a misspelt name wherever one is taken."""
  for make, kind, argument, name in _NAMES:
    wrong = f'{name}x'
    mistake = make('', f'unknown {kind} {wrong!r}; did you mean {name!r}?', argument.format(wrong))
    status = 2 if mistake.given[0].startswith('--config=') else 1
    yield make(
      f'misspelt {kind} for {mistake.command} {argument.partition("=")[0]}',
      mistake.says,
      *mistake.given,
      status=status,
    )


# The error of a word, by the type of the flag that it is given to.
_WORDS = {
  'int': 'invalid literal for int()',
  'float': 'could not convert string to float',
  'bool': 'it is neither True nor False',
  'string enum': 'value should be one of',
}


def flags():
  """Yield values beyond each flag's bounds, and a word for one flag of each type."""
  seen = set()
  for name in files():
    for flag in command_flags.of(name):
      kind = flag.flag_type()
      rows = {f'--{flag.name}={value}': f'flag --{flag.name}={value}' for value in _beyond(flag)}
      if kind in _WORDS and kind not in seen:
        rows[f'--{flag.name}=perhaps'] = _WORDS[kind]
      for given, says in rows.items():
        if given not in seen:
          yield command(name, status=2)(f'{given} for {name}', says, given)
      seen |= {kind, *rows}


def _beyond(flag):
  """Return the nearest values that a flag's bounds exclude."""
  lower, upper = (getattr(flag.parser, f'{side}_bound', None) for side in ('lower', 'upper'))
  return [bound + step for bound, step in ((lower, -1), (upper, 1)) if bound is not None]


def fields():
  """Yield a value below each field's bound, and another word for one field of each type."""
  seen = set()
  for field in FIELDS:
    kind = type(field.default)
    if kind in (bool, int, float) and kind not in seen:
      seen.add(kind)
      yield train(f'word for {field.name}', field.name, f'--config.{field.name}=perhaps', status=2)
    if field.least is not None:
      value = kind(field.least if field.exclusive else field.least - 1)
      says = f'{field.name} is {value}; it must be'
      yield train(f'{field.name} below its bound', says, f'--config.{field.name}={value}')
