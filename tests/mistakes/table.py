"""Every kind of bad input that the scripts are documented to take, and what each prints.

`material.make` makes the files that are named here; every path starts in its folder.
"""

import dataclasses

from tests.mistakes.material import NETWORK


@dataclasses.dataclass(frozen=True)
class Mistake:
  """A start of a script that cannot succeed.

  Attributes:
    what: is wrong; no two are alike.
    says: a part of the line that names it.
    script: its name.
    given: the arguments that matter.
    usual: those that go before them.
    status: the exit status, 2 for the command line, else 1.
    needs: a module without which the material cannot be made.
  """

  what: str
  says: str
  script: str
  given: tuple[str, ...]
  usual: tuple[str, ...] = ()
  status: int = 1
  needs: str = ''


def _script(name, *usual, shown=(), **more):
  """Makes mistakes of one script with the same usual arguments, and `shown` before the given."""

  def mistake(what, says, *given, **other):
    return Mistake(what, says, name, (*shown, *given), usual, **{**more, **other})

  return mistake


_bare = _script('main')
_main = _script(
  'main',
  '--config=configs/digits.py:pidkd',
  '--workdir=run',
  f'--config.student={NETWORK}',
  f'--config.teacher.model={NETWORK}',
)
_study = _script('study', '--workdir=run')
_OWN_ARCHIVE = '--config.data.verify=False'
_official = _script('main', '--workdir=run', shown=('--config=configs/cifar100.py',))
_cifar = _script('main', '--workdir=run', shown=('--config=configs/cifar100.py', _OWN_ARCHIVE))
_tiny = _script('main', '--workdir=run', shown=('--config=configs/tiny_imagenet.py', _OWN_ARCHIVE))
_folder = _script('main', '--workdir=run', shown=('--config=configs/image_folder.py',))
_evaluate = _script('evaluate')
_condense = _script('condense', '--config=configs/condense.py', '--workdir=run')
_probe = _script('probe')
_predict = _script('predict', '--bundle=bundles/digits')
_latency = _script('latency', '--out=latency', shown=('--bundle=bundles/digits',))
_exported = _script('export', shown=('--format=weights',), needs='safetensors')
_export = _script('export', '--bundle=bundles/digits', '--out=exported')
_report = _script('report', '--out=report')
_plan = _script('plan', f'--teacher={NETWORK}', f'--student={NETWORK}')
_networks = _script('networks')
_benchmark = _script('benchmark', f'--teacher={NETWORK}', f'--student={NETWORK}')
_torch = _script('import_torch', '--out=imported', '--model=resnet8', needs='torch')
_import = _script('import_torch', '--out=imported')

MISTAKES = {
  'Flags': (
    _bare('no config', 'no --config was given; e.g. --config configs/digits.py'),
    _main('unknown flag', 'Did you mean: workdir', '--wrkdir=x', status=2),
    _main('stray argument', "unknown argument 'stray'", 'stray', status=2),
    _main('flag without its value', 'Missing value', '--workdir', status=2),
    _networks(
      'word for a number',
      "invalid literal for int() with base 10: 'big'",
      '--image_size=big',
      status=2,
    ),
    _networks('image too small', 'image_size=4', '--image_size=4', status=2),
    _networks('no classes', 'num_classes=0', '--num_classes=0', status=2),
    _plan('numbers that are words', 'write --factors=1,2,4', '--factors=wide'),
    _plan('own student to plan', "there is no module 'nowhere'", '--student=nowhere:Net'),
    _plan('no projectors', 'num_projectors is 0', '--num_projectors=0'),
    _plan('factor beyond the channels', 'factor is 9999', '--factors=9999'),
    _plan('misspelt teacher', "did you mean 'resnet32x4'?", '--teacher=resnet32x5'),
    _plan('batch of nothing', 'batch_size=0', '--batch_size=0', status=2),
    _benchmark('precision that is none', 'float16', '--precision=float16', status=2),
    _benchmark('hyper-parameter without a value', 'write --set factor=VALUE', '--set=factor'),
    _benchmark('misspelt hyper-parameter', "did you mean 'factor'?", '--set=fctor=2'),
    _benchmark(
      'hyper-parameter of another type',
      "factor of pidkd is 'wide'; int is needed",
      '--set=factor=wide',
    ),
    _benchmark('misspelt method to measure', "did you mean 'pidkd'?", '--method=pidk'),
    _benchmark('no trials to measure', 'trials=0', '--trials=0', status=2),
    _evaluate('no bundle to evaluate', 'no --bundle was given; name a folder'),
    _evaluate('yes and no', 'verify', '--bundle=bundles/digits', '--verify=perhaps', status=2),
    _condense('no bundle to condense', 'no --bundle was given; name a folder'),
    _script('condense', '--config=configs/condense.py', '--bundle=bundles/distilled')(
      'no workdir to condense in', 'no workdir was given; name a folder'
    ),
    _script('condense', '--workdir=run')(
      'no config to condense by',
      'no --config was given; e.g. --config configs/condense.py',
      '--bundle=bundles/distilled',
    ),
    _condense(
      'projector of a row that is none',
      'Did you mean "factor"',
      '--bundle=bundles/distilled',
      '--config.rows.one.fctor=4',
      status=2,
    ),
    _probe('no bundle to probe', 'name one or several with --bundle'),
    _probe('no data to probe on', 'name one with --data', '--bundle=bundles/digits'),
    _predict('no image', 'no image was given; name one or several'),
    _script('predict')('no bundle to predict with', 'no --bundle was given', 'images/good.png'),
    _predict('no classes to say', 'top=0', '--top=0', 'images/good.png', status=2),
    _script('latency', '--out=latency')('no bundle to time', 'name one or several with --bundle'),
    _script('latency')('no folder for latencies', 'no --out was given', '--bundle=bundles/digits'),
    _latency('no rounds', 'rounds=0', '--rounds=0', status=2),
    _latency('batch of nothing to time', 'batch_size=0', '--batch_size=0', status=2),
    _latency('platform that is not there', "unknown platform 'abacus'", '--platform=abacus'),
    _latency('more cores than there are', 'this process may use', '--cores=4096'),
    _export('no format to export to', 'name some with --format: onnx,'),
    _export('misspelt format', "unknown format 'onyx'; did you mean 'onnx'?", '--format=onyx'),
    _export('loss below nothing', 'largest_loss=-1', '--largest_loss=-1', status=2),
    _export('pixels for bare weights', 'leave out --uint8', '--format=weights', '--uint8'),
    _script('export')(
      'no folder to export to', 'no --out was given', '--bundle=bundles/digits', '--format=weights'
    ),
    _report('no run to report', 'no run was given; name the folder of a run or of a study'),
    _script('report')('no folder for the report', 'no --out was given', 'runs/good'),
    _import('no checkpoint', 'no --checkpoint was given; name a PyTorch file'),
    _import('no model to import', 'no --model was given', '--checkpoint=torch/text.pth'),
    _script('import_torch', '--model=resnet8')(
      'no folder to import to', 'no --out was given', '--checkpoint=torch/text.pth'
    ),
    _study('study without a config', 'no --config was given'),
  ),
  'Configs': (
    _main('unknown field', 'Did you mean "student"', '--config.studnet=x', status=2),
    _main('unknown hyper-parameter', 'Did you mean "factor"', '--config.method.fctor=2', status=2),
    _main(
      'word in a numeric field', '--config.batch_size=many', '--config.batch_size=many', status=2
    ),
    _main(
      'fraction in a whole field', '--config.batch_size=64.5', '--config.batch_size=64.5', status=2
    ),
    _main('value for a group', 'it is a group', '--config.method=kd_1_1', status=2),
    _main('word for a switch', 'verify', '--config.data.verify=perhaps', status=2),
    _main(
      'method that is not compared', 'kd_1_1', '--config.compare.kd_1_1.temperature=1', status=2
    ),
    _main('text for fractions', 'fractions of the training are needed', '--config.drops=half'),
    _bare(
      'config that is not there',
      "No such file or directory: 'configs/nope.py'",
      '--config=configs/nope.py',
      status=2,
    ),
    _bare('folder for a config', 'configs', '--config=configs', status=2),
    _bare('JSON for a config', 'bad/config.json', '--config=bad/config.json', status=2),
    _bare('text for a config', 'bad/config.txt', '--config=bad/config.txt', status=2),
    _bare('binary file for a config', 'bad/binary.py', '--config=bad/binary.py', status=2),
    _bare('config without get_config', 'get_config', '--config=bad/nothing.py', status=2),
    _bare('config that divides by zero', 'division by zero', '--config=bad/raising.py', status=2),
    _bare('config that looks for a key', 'total_epochs', '--config=bad/missing_key.py', status=2),
    _bare(
      'config that imports what is not there',
      "No module named 'no_such_module'",
      '--config=bad/importing.py',
      status=2,
    ),
    _bare(
      'config that returns nothing', 'bad/returns_none.py', '--config=bad/returns_none.py', status=2
    ),
    _bare(
      'config that returns a dict',
      'the config is a dict and no ConfigDict',
      '--config=bad/returns_a_dict.py',
    ),
    _bare(
      'config of another program',
      'make it as configs/digits.py does',
      '--config=bad/another.py',
      '--workdir=run',
    ),
    _bare(
      "study's config for the main job",
      'scripts/study.py',
      '--config=configs/studies/methods.py',
      '--workdir=run',
    ),
    _study("main job's config for a study", 'scripts/main.py', '--config=configs/digits.py'),
  ),
  'Names': (
    _bare(
      'misspelt method',
      "unknown method 'pidk'; did you mean 'pidkd'?",
      '--config=configs/digits.py:pidk',
      status=2,
    ),
    _bare(
      'method named twice', 'one is named twice', '--config=configs/digits.py:pidkd,pidkd', status=2
    ),
    _bare(
      'misspelt pair',
      "unknown pair 'vgg13-vgg9'; did you mean 'vgg13-vgg8'?",
      '--config=configs/cifar100.py:vgg13-vgg9',
      status=2,
    ),
    _bare(
      'pair where there is none',
      'there are no pairs for these data',
      '--config=configs/digits.py:vgg13-vgg8',
      status=2,
    ),
    _study(
      'misspelt pair of a study',
      "unknown pair 'vgg13-vgg9'; did you mean 'vgg13-vgg8'?",
      '--config=configs/studies/methods.py:vgg13-vgg9',
      status=2,
    ),
    _study(
      'misspelt row',
      "unknown row 'pidk'; did you mean 'pidkd'?",
      '--config=configs/studies/methods.py',
      '--rows=pidk',
    ),
    _main(
      'misspelt student',
      "unknown model 'resnet8x5'; did you mean 'resnet8x4'?",
      '--config.student=resnet8x5',
    ),
    _main(
      'misspelt teacher of the main job',
      "unknown model 'resnet1'",
      '--config.teacher.model=resnet1',
    ),
    _main('no student', 'unknown model', '--config.student='),
    _main(
      'width that is a word',
      "'wide' is not a positive number; write e.g. resnet8*1.5",
      '--config.student=resnet8*wide',
    ),
    _main('width of nothing', "'0' is not a positive number", '--config.student=resnet8*0'),
    _main(
      'misspelt dataset',
      "unknown dataset 'digit'; did you mean 'digits'?",
      '--config.data.name=digit',
    ),
    _main(
      'misspelt precision',
      "unknown precision 'float31'; did you mean 'float32'?",
      '--config.precision=float31',
    ),
    _main(
      "misspelt teacher's precision", "unknown precision 'bf16'", '--config.teacher.precision=bf16'
    ),
    _main(
      'misspelt integration',
      "unknown integration 'meen'; did you mean 'mean'?",
      '--config.method.integration=meen',
    ),
    _main(
      'own network without its module',
      "there is no module 'nowhere'",
      '--config.student=nowhere:Tiny',
    ),
    _main(
      'own network that is not in its module',
      "unknown model of 'own' 'Tiny'",
      '--config.student=own:Tiny',
    ),
    _main('own network that is a number', "'own:number' is a int", '--config.student=own:number'),
    _main(
      'own network that is no Model', "'own:Other' makes a Other", '--config.student=own:Other'
    ),
    _main('own network without its parts', "'own:Bare' lacks stages", '--config.student=own:Bare'),
    _main('own network that fails', 'own.py, line', '--config.student=own:Failing'),
    _main('own teacher that fails', 'own.py, line', '--config.teacher.model=own:Failing'),
    _plan('own network to plan that fails', 'own.py, line', '--student=own:Failing'),
    _benchmark('own network to measure that fails', 'own.py, line', '--student=own:Failing'),
    _main('own module that is no Python', "'misspelt:Tiny'", '--config.student=misspelt:Tiny'),
    _main('own module that fails', 'division by zero', '--config.student=stumbling:Tiny'),
    _main('own network named wrongly', 'is named package.module:Class', '--config.student=own:a:b'),
    _probe(
      'misspelt data to probe on',
      "did you mean 'digits'?",
      '--bundle=bundles/digits',
      '--data=digit',
    ),
    _torch(
      'misspelt model to import',
      "did you mean 'resnet8'",
      '--checkpoint=torch/text.pth',
      '--model=resnet_8',
    ),
    _torch(
      'own model to import',
      'is not of this package',
      '--checkpoint=torch/resnet8.pth',
      '--model=own:Failing',
    ),
  ),
  'Numbers': (
    _main('batch of no images', 'batch_size is 0; it must be at least 1', '--config.batch_size=0'),
    _main('batch larger than the split', 'allows 1 to 1297', '--config.batch_size=1298'),
    _main(
      "teacher's batch larger than the split",
      'allows 1 to 1297',
      '--config.teacher.batch_size=1298',
    ),
    _main(
      'negative epochs', 'total_epochs is -3; it must be at least 1', '--config.total_epochs=-3'
    ),
    _main(
      'learning rate that is none',
      'learning_rate is nan; a finite number is needed',
      '--config.learning_rate=nan',
    ),
    _main(
      'learning rate of zero',
      'learning_rate is 0.0; it must be greater than 0',
      '--config.learning_rate=0',
    ),
    _main('infinite weight', 'method.weight is inf', '--config.method.weight=inf'),
    _main('negative weight decay', 'weight_decay is -1.0', '--config.weight_decay=-1'),
    _main(
      'everything held out',
      'data.holdout is 1.0; a share below 1 is needed',
      '--config.data.holdout=1.0',
    ),
    _main('negative hold-out', 'data.holdout is -0.1', '--config.data.holdout=-0.1'),
    _main(
      'drop behind the end', 'fractions of the training are needed', '--config.drops=(0.5, 1.5)'
    ),
    _main(
      'drop that is a word', 'fractions of the training are needed', "--config.drops=('half',)"
    ),
    _main('padding larger than the image', 'data.padding is 9', '--config.data.padding=9'),
    _main(
      'word for streaming',
      "unknown data.streaming 'sometimes'; there are: always, auto, never",
      '--config.data.streaming=sometimes',
    ),
    _main('flip that is neither', 'data.flip is 2', '--config.data.flip=2'),
    _main('seed too large', 'it must be below 2**32', f'--config.seed={2**32}'),
    _main('seed larger than any', 'it must be below 2**32', f'--config.seed={2**70}'),
    _main('negative seed', 'teacher.seed is -1', '--config.teacher.seed=-1'),
    _main(
      'coordinator without a port',
      '--coordinator=here is not HOST:PORT',
      '--coordinator=here',
      '--num_processes=2',
      '--process_id=1',
    ),
    _main('process that is not counted', 'needs --num_processes', '--coordinator=localhost:1'),
    _bare(
      "run's config.json that is not there",
      'cannot be read',
      '--config=nowhere/config.json',
      status=2,
    ),
    _main('more devices than there are', 'devices is 99', '--config.devices=99'),
    _main(
      'more groups than devices',
      'device_groups is 2; one device makes 1 of equal size',
      '--config.device_groups=2',
    ),
    _main('word for determinism', 'deterministic', '--config.deterministic=perhaps', status=2),
    _main('no groups', 'device_groups is 0; it must be at least 1', '--config.device_groups=0'),
    _main('no trials', 'trials is 0; it must be at least 1', '--config.trials=0'),
    _main('never evaluated', 'eval_every is 0', '--config.eval_every=0'),
    _main('negative memory', 'memory_gib is -1.0', '--config.memory_gib=-1'),
    _main('too little memory', 'MiB are free for it', '--config.memory_gib=0.0001'),
    _main('no projectors to train', 'num_projectors is 0', '--config.method.num_projectors=0'),
    _main('factor beyond the target', 'factor is 9999', '--config.method.factor=9999'),
    _main(
      'a loss on each of the learned',
      "take integration='mean'",
      '--config.method.integration=learned',
      '--config.method.separate=True',
    ),
  ),
  'Paths': (
    _main('no workdir', 'no workdir was given; name a folder', '--workdir='),
    _main('flag for a workdir', 'looks like a flag', '--workdir', '-x'),
    _main('workdir below a file', "workdir 'file/run' cannot be written", '--workdir=file/run'),
    _main('file for a workdir', "workdir 'file' cannot be written", '--workdir=file'),
    _main('workdir with a long name', 'File name too long', f'--workdir={"a" * 300}'),
    _main(
      'workdir on a remote store',
      "workdir 's3://bucket/run' is not on a local disk",
      '--workdir=s3://bucket/run',
    ),
    _main("nobody's workdir", 'there is no such user', '--workdir=~nobody-of-that-name/run'),
    _main('workdir of another run', 'holds a run with seed = 7 and not 0', '--workdir=runs/seed-7'),
    _main('workdir with a damaged config', 'is damaged', '--workdir=runs/cut-config'),
    _main('workdir with a list for a config', 'is damaged', '--workdir=runs/listed-config'),
    _main(
      'workdir without its config',
      'holds checkpoints and no config.json',
      '--workdir=runs/no-config',
    ),
    _main("teacher's folder below a file", 'file/teachers', '--config.teacher.dir=file/teachers'),
    _main(
      'teacher on a remote store',
      'is not on a local disk',
      '--config.teacher.bundle=gs://bucket/teacher',
    ),
    _main(
      'teacher that is not there',
      "bundle 'nowhere' does not exist",
      '--config.teacher.bundle=nowhere',
    ),
    _main(
      'teacher of other classes',
      'is for the 3 classes of other',
      '--config.teacher.bundle=bundles/three',
    ),
    _main('start that is not there', "bundle 'nowhere' does not exist", '--config.start=nowhere'),
    _main(
      'start of other classes', 'is for the 3 classes of other', '--config.start=bundles/three'
    ),
    _main(
      'start of another student',
      'pidkd trains resnet14, which is not the ResNet of the bundle',
      '--config.start=bundles/digits',
      '--config.student=resnet14',
    ),
    _main(
      'start with other pixels than the teacher',
      'was trained with another mean of the pixels',
      '--config.start=bundles/distilled',
      '--config.teacher.bundle=bundles/darker',
    ),
    _main(
      'data folder on a remote store',
      'stage it to a local folder first',
      '--config.data.dir=s3://bucket/tfds',
    ),
    _main('data folder below a file', 'file/tfds', '--config.data.dir=file/tfds'),
    _study(
      'file for the workdir of a study',
      'cannot be written',
      '--config=configs/studies/methods.py:resnet14x2-resnet8',
      '--rows=scratch',
      '--config.data.name=digits',
      '--config.data.archive=',
      '--workdir=file',
    ),
    _report(
      'report below a file',
      "--out 'file/report' cannot be written",
      'runs/good',
      '--out=file/report',
    ),
    _torch(
      'bundle that is there already',
      'is there already',
      '--checkpoint=torch/resnet8.pth',
      '--out=bundles/digits',
    ),
    _torch(
      'bundle below a file',
      'cannot be written',
      '--checkpoint=torch/resnet8.pth',
      '--out=file/imported',
    ),
  ),
  'Prepared data': (
    _main(
      'prepared data without their JSON',
      'holds no whole prepared dataset',
      '--config.data.dir=prepared/no-json',
    ),
    _main('prepared data cut short', 'is damaged', '--config.data.dir=prepared/cut'),
    _main('prepared data that are empty', 'is damaged', '--config.data.dir=prepared/emptied'),
    _main(
      'streamed data cut short',
      'is damaged',
      '--config.data.dir=prepared/cut',
      '--config.data.streaming=always',
    ),
    _main(
      'streamed data of which no single record can be read',
      'is prepared as tfrecord',
      '--config.data.dir=prepared/tfrecord',
      '--config.data.streaming=always',
    ),
    _main(
      'archive for data that need none',
      'leave --config.data.archive=archives/good.zip out',
      '--config.data.archive=archives/good.zip',
    ),
  ),
  'Archives': (
    _official('no archive and no network', 'put it into'),
    _folder('no folder of images', 'no folder of images was given'),
    _folder(
      'folder of images that is not there', 'there is no folder', '--config.data.archive=nowhere'
    ),
    _folder(
      'file in the place of a folder of images',
      'is a file',
      '--config.data.archive=archives/good.zip',
    ),
    _cifar('archive that is not there', 'there is no archive', '--config.data.archive=nope.tar.gz'),
    _cifar(
      'archive of nothing into a new folder',
      'truncated, damaged or of another format',
      '--config.data.archive=archives/empty.tar.gz',
      '--config.data.dir=new/folder',
    ),
    _cifar(
      'folder for an archive',
      'archives/folder.tar.gz',
      '--config.data.archive=archives/folder.tar.gz',
    ),
    _official(
      'archive that is not the official one',
      'is not the official one of cifar100',
      '--config.data.archive=archives/good.tar.gz',
    ),
    *(
      _cifar(what, says, f'--config.data.archive=archives/{name}')
      for what, says, name in (
        ('empty archive', 'truncated, damaged or of another format', 'empty.tar.gz'),
        ('text for an archive', 'truncated, damaged or of another format', 'text.tar.gz'),
        ('truncated archive', 'truncated, damaged or of another format', 'truncated.tar.gz'),
        ('archive with a hole', 'truncated, damaged or of another format', 'holed.tar.gz'),
        ('zip where a tar is needed', 'truncated, damaged or of another format', 'good.zip'),
        ('archive of something else', 'it has no', 'other-members.tar.gz'),
        ('record of a wrong size', 'not some whole number of 3074-byte', 'short-record.tar.gz'),
        ('split without records', 'test.bin has 0 bytes', 'no-records.tar.gz'),
        ('label out of range', 'the label 99, but 4 are named', 'label-out-of-range.tar.gz'),
        ('class named twice', 'empty or names a class twice', 'class-twice.tar.gz'),
        ('names that are no text', 'is not UTF-8 text', 'names-not-text.tar.gz'),
        ('member of a tebibyte', 'declares 1,099,511,627,776 bytes', 'enormous.tar.gz'),
        ('member outside its folder', 'it has no cifar-100-binary/train.bin', 'outside.tar.gz'),
        ('link for a member', 'it has no cifar-100-binary/train.bin', 'link.tar.gz'),
      )
    ),
    *(
      _tiny(what, says, f'--config.data.archive=archives/{name}')
      for what, says, name in (
        ('tar where a zip is needed', 'truncated, damaged or of another format', 'good.tar.gz'),
        ('truncated zip', 'truncated, damaged or of another format', 'truncated.zip'),
        ('zip without names', 'it has no tiny-imagenet-200/wnids.txt', 'no-names.zip'),
        ('zip without annotations', 'val_annotations.txt', 'no-annotations.zip'),
        ('zip without training images', 'it has no train images', 'no-train.zip'),
        ('class that is not named', 'which wnids.txt does not name', 'unnamed-class.zip'),
        ('zip whose members leave their folder', 'it has no', 'outside.zip'),
      )
    ),
  ),
  'Images': tuple(
    _tiny(what, says, f'--config.data.archive=archives/{name}.zip')
    for what, says, name in (
      ('image that is none', 'is not a whole JPEG or PNG file', 'no-jpeg'),
      ('image cut short', 'is not a whole JPEG or PNG file', 'cut-jpeg'),
      ('image of another size', 'is 32x32 pixels, not 64x64', 'small-jpeg'),
      ('image for print', 'n01_1.JPEG is of mode CMYK', 'cmyk-jpeg'),
      ('image with a palette', 'n01_1.JPEG is of mode P', 'palette-png'),
      ('image of half a mebibyte', 'declares 524,288 bytes', 'large-image'),
    )
  ),
  'Bundles': (
    *(
      _evaluate(what, says, f'--bundle=bundles/{name}')
      for what, says, name in (
        ('bundle that is not there', 'does not exist', 'nope'),
        ('empty folder for a bundle', 'is half-written or no bundle', 'empty'),
        ('bundle without a manifest', 'is half-written or no bundle', 'no-manifest'),
        ('bundle without a card', 'card.json is missing', 'no-card'),
        ('list for a manifest', 'holds no JSON object', 'listed'),
        ('manifest cut short', 'is not JSON', 'unreadable'),
        ('bundle with one altered byte', 'variables.npz is altered', 'altered'),
        ('variables cut short', 'is not one that this version reads', 'cut'),
        ('card without a dataset', "card.json lacks 'dataset'", 'no-dataset'),
        ('card of another schema', "card.json lacks 'model'", 'other-card'),
        ('card that names code', "unknown model family 'os.system'", 'no-family'),
        ('own network in a bundle without --own', '--own=own:Bare', 'own-family'),
        ('network with an unknown field', 'colour', 'other-fields'),
        ('network with a word for a number', 'is not one that this version reads', 'wordy-depth'),
        ('network that there is not', 'is not one that this version reads', 'odd-depth'),
        ('card of flat images', 'image_shape', 'flat-image'),
        ('card of empty images', 'image_shape', 'empty-image'),
        ('card with a word for the mean', 'mean', 'wordy-mean'),
        ('card with no deviation', 'std', 'no-std'),
        ('card with too few classes', 'class_names', 'few-names'),
        ('card with a list for results', 'results', 'listed-results'),
        ('card with a list for the training', 'training', 'listed-training'),
        ('card without a fingerprint', 'fingerprint', 'no-fingerprint'),
        ('card that does not name its data', 'say it with --data', 'no-data'),
        ('card of unknown data', "unknown dataset 'digit'; did you mean 'digits'?", 'no-such-data'),
        ('variables of another shape', 'params/stem/conv/kernel', 'misshapen'),
        ('variables of another type', 'params/stem/conv/kernel', 'doubled'),
        ('variables that lack one', 'params/stem/conv/kernel', 'lacking'),
        ('variables with a pickle', 'is not one that this version reads', 'pickled'),
        ('variables of four tebibytes', 'params/stem/conv/kernel', 'enormous'),
        ('bundle of other classes than the data', 'is for 3 classes', 'three'),
      )
    ),
    _evaluate('bundle on a remote store', 'is not on a local disk', '--bundle=gs://bucket/one'),
    _condense(
      'bundle without projectors',
      'holds a ResNet and no projectors, so there is nothing to condense',
      '--bundle=bundles/digits',
    ),
    _condense(
      'bundle of a student without a name',
      'does not say what its student, a ResNet, is called',
      '--bundle=bundles/unnamed',
    ),
    _condense(
      'bundle to condense on other data',
      'is for the 10 classes of digits',
      '--bundle=bundles/distilled',
      '--config.data.name=cifar100',
      '--config.data.archive=archives/good.tar.gz',
      '--config.data.verify=False',
    ),
    _condense(
      'projector wider than its target',
      'factor is 99',
      '--bundle=bundles/distilled',
      '--config.rows.one.factor=99',
    ),
    _evaluate(
      'projectors of a plain network',
      'leave out --projectors',
      '--bundle=bundles/digits',
      '--projectors',
    ),
    _evaluate(
      'teacher to agree with that is not there',
      'does not exist',
      '--bundle=bundles/digits',
      '--teacher=nope',
    ),
    _evaluate(
      'data of other classes',
      'is for 10 classes',
      '--bundle=bundles/digits',
      '--data=cifar100',
      '--noverify',
      '--archive=archives/good.tar.gz',
    ),
    _evaluate(
      'own network to evaluate without its module',
      "there is no module 'nowhere'",
      '--bundle=bundles/digits',
      '--own=nowhere:Tiny',
    ),
    _exported('no bundle to export', 'no --bundle was given', '--out=exported'),
    _exported(
      'damaged bundle to export',
      'variables.npz is altered',
      '--bundle=bundles/altered',
      '--out=exported',
    ),
    _exported(
      'data of other classes to check an export on',
      'is for 10 classes',
      '--bundle=bundles/digits',
      '--out=exported',
      '--data=cifar100',
      '--noverify',
      '--archive=archives/good.tar.gz',
    ),
    _exported(
      'file for the folder of exports',
      "for 'HOME/file'",
      '--bundle=bundles/digits',
      '--out=file',
    ),
    _exported(
      'folder of another kind where an export goes',
      "'bundles/weights' is there and holds no export",
      '--bundle=bundles/digits',
      '--out=bundles',
    ),
    _probe(
      'damaged bundle to probe',
      'variables.npz is altered',
      '--bundle=bundles/altered',
      '--data=digits',
    ),
  ),
  'Use': (
    *(
      _predict(what, says, f'images/{name}.png')
      for what, says, name in (
        ('image that is not there', 'is not there; name a JPEG, PNG', 'nope'),
        ('folder for an image', 'is a folder; name a JPEG, PNG', 'folder'),
        ('image cut short to look at', 'is not a whole JPEG, PNG, BMP or WebP file', 'cut'),
        ('image of four gigapixels', 'pixels that Pillow allows', 'bomb'),
        ('animation for an image', 'is not a whole JPEG, PNG, BMP or WebP file', 'animation'),
      )
    ),
    _predict(
      'good image beside one that is none',
      "image 'images/text.png'",
      'images/good.png',
      'images/text.png',
    ),
    _predict(
      'damaged bundle to predict with',
      'variables.npz is altered',
      '--bundle=bundles/altered',
      'images/good.png',
    ),
    _latency('damaged bundle to time', 'variables.npz is altered', '--bundle=bundles/altered'),
    _latency('bundle that is given twice', 'is given 2 times', '--bundle=bundles/digits/'),
    _latency('teacher to time that is not there', 'does not exist', '--teacher=nope'),
    _latency('export that is not there', 'No such file or directory', '--export=nope'),
    _latency('bundle for an export', 'is no export', '--export=bundles/three'),
    _latency('latencies below a file', 'cannot be written', '--out=file/latency'),
  ),
  'PyTorch files': (
    *(
      _torch(what, says, f'--checkpoint=torch/{name}.pth')
      for what, says, name in (
        ('checkpoint that is not there', 'is not there', 'nope'),
        ('folder for a checkpoint', 'is not there', 'folder'),
        ('empty checkpoint', 'damaged or no PyTorch file', 'empty'),
        ('text for a checkpoint', 'torch/text.pth', 'text'),
        ('checkpoint cut short', 'damaged or no PyTorch file', 'cut'),
        ('pickle that runs a command', 'is not loaded', 'pickled'),
        ('checkpoint that runs a command', 'names code', 'system'),
        ('tensor for a checkpoint', 'and no state dict', 'tensor'),
        ('list for a state dict', 'holds no state dict', 'listed'),
        ('state dict of nothing', 'holds no state dict', 'nothing'),
        ('number for a tensor', 'epoch is no dense tensor', 'number'),
        ('state dict that lacks a tensor', 'missing: conv1.weight', 'lacking'),
        (
          'values that are not finite',
          'not finite, in stem/conv/kernel',
          'infinite',
        ),
        ('tensor of another shape', 'misshapen: conv1.weight', 'misshapen'),
        ("SimKD's student without its teacher", 'import its teacher first', 'simkd'),
        ('four classes without their data', 'give its --data, or the --mean and --std', 'resnet8'),
      )
    ),
    _torch(
      'checkpoint of another network',
      "it is that of 'resnet8'",
      '--checkpoint=torch/resnet8.pth',
      '--model=resnet14',
    ),
    _torch(
      'checkpoint of other classes than the data',
      'for colour images of 4 classes',
      '--checkpoint=torch/resnet8.pth',
      '--data=digits',
    ),
    _torch(
      'teacher of no SimKD student',
      "has no 'proj'; leave it out",
      '--checkpoint=torch/resnet8.pth',
      '--teacher=bundles/digits',
    ),
    _torch(
      'projector that is none',
      'is no projector of SimKD',
      '--checkpoint=torch/simkd.pth',
      '--teacher=bundles/digits',
    ),
    _torch(
      'mean of pixels to 255',
      'divide those of 0 to 255',
      '--checkpoint=torch/resnet8.pth',
      '--mean=125,123,113',
    ),
    _torch(
      'mean of two channels', 'is not 3 numbers', '--checkpoint=torch/resnet8.pth', '--mean=0.5,0.5'
    ),
    _torch(
      'deviation of zero',
      'which nothing can be divided by',
      '--checkpoint=torch/resnet8.pth',
      '--mean=0.5,0.5,0.5',
      '--std=0.2,0.2,0',
    ),
  ),
  'Runs to report': (
    _report('run that is not there', "run 'nope' is no folder", 'nope'),
    _report('file for a run', "run 'file' is no folder", 'file'),
    _report('empty run', 'holds no finished run of students', 'runs/empty'),
    _report('unfinished run', 'holds no finished run of students', 'runs/unfinished'),
    *(
      _report(what, says, f'runs/{name}')
      for what, says, name in (
        ('metrics cut short', "metrics.jsonl' is damaged at line 1", 'cut-metrics'),
        ('metrics of nobody', "metrics.jsonl' is damaged at line 1", 'nameless-metrics'),
        ('binary metrics', "metrics.jsonl' is damaged at line 1", 'binary-metrics'),
        ('card cut short', 'is damaged', 'cut-card'),
        ('list for a card', 'it holds no JSON object', 'listed-card'),
        ('card of something else', 'it is not from a run of this package', 'other-card'),
        ('card of no training', 'it is not from a run of this package', 'untrained-card'),
        ('list for a training', 'it is not from a run of this package', 'listed-training'),
        ('card of no data', 'it is not from a run of this package', 'nameless-data'),
        ('card without a recipe', 'it is not from a run of this package', 'no-recipe'),
        ('card without results', 'it is not from a run of this package', 'no-results'),
        ("teacher's card cut short", 'is damaged', 'cut-teacher'),
        ('list of the diverged cut short', 'is damaged', 'cut-diverged'),
        ('outputs cut short', 'is damaged', 'cut-outputs'),
      )
    ),
    _report('misspelt baseline', "did you mean 'simkd'?", 'runs/good', '--baseline=simk'),
    _report(
      'published figures that are not there', 'cannot be read', 'runs/good', '--published=nope.csv'
    ),
    _report(
      'published figures without a heading',
      'has no column',
      'runs/good',
      '--published=headless.csv',
    ),
    _report('published word', "the value 'many' in line 2", 'runs/good', '--published=worded.csv'),
    _report(
      'published label misspelt', "did you mean 'pidkd'?", 'runs/good', '--published=misspelt.csv'
    ),
  ),
}
