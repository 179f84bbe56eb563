"""Every kind of bad input that the commands are documented to take, and what each prints.

`material.make` makes the files that are named here; every path starts in its folder.
"""

from tests.mistakes import generated
from tests.mistakes.generated import train as _train
from tests.mistakes.material import NETWORK
from tests.mistakes.mistake import command

_bare = command('train')
_study = command('study', '--workdir=run')
_OWN_ARCHIVE = '--config.data.verify=False'
_official = command('train', '--workdir=run', shown=('--config=cifar100',))
_cifar = command('train', '--workdir=run', shown=('--config=cifar100', _OWN_ARCHIVE))
_tiny = command('train', '--workdir=run', shown=('--config=tiny_imagenet', _OWN_ARCHIVE))
_folder = command('train', '--workdir=run', shown=('--config=image_folder',))
_evaluate = command('evaluate')
_condense = command('condense', '--config=condense', '--workdir=run')
_probe = command('probe')
_predict = command('predict', '--bundle=bundles/digits')
_latency = command('latency', '--out=latency', shown=('--bundle=bundles/digits',))
_exported = command('export', shown=('--format=weights',), needs='safetensors')
_export = command('export', '--bundle=bundles/digits', '--out=exported')
_report = command('report', '--out=report')
_plan = command('plan', f'--teacher={NETWORK}', f'--student={NETWORK}')
_networks = command('networks')
_benchmark = command('benchmark', f'--teacher={NETWORK}', f'--student={NETWORK}')
_torch = command('import-torch', '--out=imported', '--model=resnet8', needs='torch')
_import = command('import-torch', '--out=imported')

MISTAKES = {
  'Flags': (
    _bare('no config', 'no --config was given; name a file, or one of: cifar100,'),
    _train('unknown flag', 'Did you mean: workdir', '--wrkdir=x', status=2),
    _train('stray argument', "unknown argument 'stray'", 'stray', status=2),
    command('latency', '--bundle=bundles/digits', '--out=latency')(
      'no number for the time', '--seconds is nan; a number is needed', '--seconds=nan', status=2
    ),
    _train('flag without its value', 'Missing value', '--workdir', status=2),
    _plan('numbers that are words', 'write --factors=1,2,4', '--factors=wide'),
    _plan('own student to plan', "there is no module 'nowhere'", '--student=nowhere:Net'),
    _plan('no projectors', 'num_projectors is 0', '--num_projectors=0'),
    _plan('factor beyond the channels', 'factor is 9999', '--factors=9999'),
    _benchmark('hyper-parameter without a value', 'write --set factor=VALUE', '--set=factor'),
    _benchmark(
      'hyper-parameter of another type',
      "factor of pidkd is 'wide'; int is needed",
      '--set=factor=wide',
    ),
    _evaluate('no bundle to evaluate', 'no --bundle was given; name a folder'),
    _condense('no bundle to condense', 'no --bundle was given; name a folder'),
    command('condense', '--config=condense', '--bundle=bundles/distilled')(
      'no workdir to condense in', 'no workdir was given; name a folder'
    ),
    command('condense', '--workdir=run')(
      'no config to condense by',
      'no --config was given; name a file, or one of: cifar100,',
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
    command('predict')('no bundle to predict with', 'no --bundle was given', 'images/good.png'),
    command('latency', '--out=latency')('no bundle to time', 'name one or several with --bundle'),
    command('latency')('no folder for latencies', 'no --out was given', '--bundle=bundles/digits'),
    _latency('more cores than there are', 'this process may use', '--cores=4096'),
    command('push')('no repository to push to', 'a bundle and a repository are', 'bundles/digits'),
    command('pull')('no folder to pull into', 'a repository and a new folder are', 'user/name'),
    _export('no format to export to', 'name some with --format: onnx,'),
    _export('pixels for bare weights', 'leave out --uint8', '--format=weights', '--uint8'),
    command('export')(
      'no folder to export to', 'no --out was given', '--bundle=bundles/digits', '--format=weights'
    ),
    _report('no run to report', 'no run was given; name the folder of a run or of a study'),
    command('report')(
      'folder for the report with a file of mine',
      'which is of no report',
      'runs/good',
      '--out=mine',
    ),
    command('report')('no folder for the report', 'no --out was given', 'runs/good'),
    _import('no checkpoint', 'no --checkpoint was given; name a PyTorch file'),
    _import('no model to import', 'no --model was given', '--checkpoint=torch/text.pth'),
    command('import-torch', '--model=resnet8')(
      'no folder to import to', 'no --out was given', '--checkpoint=torch/text.pth'
    ),
    _study('study without a config', 'no --config was given'),
  ),
  'Configs': (
    _train(
      'config that sets a number for several',
      "TypeError: Could not override field 'drops'",
      '--config=bad/other_type.py',
      status=2,
    ),
    _bare(
      'config without rows', 'rows is {}; make them as', '--config=bad/no_rows.py', '--workdir=w'
    ),
    _train('unknown field', 'Did you mean "student"', '--config.studnet=x', status=2),
    _train('unknown hyper-parameter', 'Did you mean "factor"', '--config.method.fctor=2', status=2),
    _train(
      'fraction in a whole field', '--config.batch_size=64.5', '--config.batch_size=64.5', status=2
    ),
    _train('value for a group', 'it is a group', '--config.method=kd_1_1', status=2),
    _train(
      'method that is not compared', 'kd_1_1', '--config.compare.kd_1_1.temperature=1', status=2
    ),
    _train(
      'method under the values of another', 'method.name', '--config.method.name=simkd', status=2
    ),
    _train('writer that is none', "did you mean 'wandb'", '--config.writers=wandbb'),
    _bare(
      'mixtures for a method of single images',
      'crd reads the class or the place of single images',
      '--config=digits:crd',
      '--workdir=run',
      f'--config.student={NETWORK}',
      f'--config.teacher.model={NETWORK}',
      '--config.mixup=0.2',
    ),
    _train('parts of a batch of unequal size', 'take 60 or 70', '--config.accumulation=10'),
    _train('text for fractions', 'fractions of the training are needed', '--config.drops=half'),
    _bare('config that is not there', "directory: 'nope.py'", '--config=nope.py', status=2),
    _bare('folder for a config', 'Is a directory', '--config=bad', status=2),
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
      'run it with `pidkd study`',
      '--config=methods',
      '--workdir=run',
    ),
    _study(
      'row that is to be as large as one left out',
      'which --rows leaves out; name both there',
      '--config=capacity',
      '--rows=scratch_widened',
    ),
    _study("main job's config for a study", 'run it with `pidkd train`', '--config=digits'),
  ),
  'Names': (
    _bare('method named twice', 'one is named twice', '--config=digits:pidkd,pidkd', status=2),
    _bare(
      'pair of three networks',
      "'vgg13-vgg8-vgg8' is no pair; write TEACHER-STUDENT",
      '--config=digits:vgg13-vgg8-vgg8',
      status=2,
    ),
    _train('no student', 'unknown model', '--config.student='),
    _train(
      'width that is a word',
      "'wide' is no number above 0 and up to 10,000; write e.g. resnet8*1.5",
      '--config.student=resnet8*wide',
    ),
    _train('width of nothing', "'0' is no number above 0", '--config.student=resnet8*0'),
    _train(
      'own network without its module',
      "there is no module 'nowhere'",
      '--config.student=nowhere:Tiny',
    ),
    _train(
      'own network that is not in its module',
      "unknown model of 'own' 'Tiny'",
      '--config.student=own:Tiny',
    ),
    _train('own network that is a number', "'own:number' is a int", '--config.student=own:number'),
    _train(
      'own network that is no Model', "'own:Other' makes a Other", '--config.student=own:Other'
    ),
    _train('own network without its parts', "'own:Bare' lacks stages", '--config.student=own:Bare'),
    _train('own network that fails', 'own.py, line', '--config.student=own:Failing'),
    _train('own teacher that fails', 'own.py, line', '--config.teacher.model=own:Failing'),
    _plan('own network to plan that fails', 'own.py, line', '--student=own:Failing'),
    _benchmark('own network to measure that fails', 'own.py, line', '--student=own:Failing'),
    _train('own module that is no Python', "'misspelt:Tiny'", '--config.student=misspelt:Tiny'),
    _train('own module that fails', 'division by zero', '--config.student=stumbling:Tiny'),
    _bare(
      'own method that is not in its module',
      "method 'own:Cosine': 'own' has no 'Cosine'; define it there",
      '--config=digits:own:Cosine',
      status=2,
    ),
    _bare('own method that is none', 'is no method', '--config=digits:own:Other', status=2),
    _train(
      'own data set without its module',
      "dataset 'nowhere:Mine': there is no module 'nowhere'",
      '--config.data.name=nowhere:Mine',
    ),
    _train('own data set that is none', 'is no dataset', '--config.data.name=own:Other'),
    _train(
      'own network named wrongly', 'is named package.module:Class', '--config.student=own:a:b'
    ),
    _torch(
      'own model to import',
      'is not of this package',
      '--checkpoint=torch/resnet8.pth',
      '--model=own:Failing',
    ),
  ),
  'Numbers': (
    _train('batch larger than the split', 'allows 1 to 100', '--config.batch_size=101'),
    _train(
      "teacher's batch larger than the split",
      'allows 1 to 100',
      '--config.teacher.batch_size=101',
    ),
    _train('infinite weight', 'method.weight is inf', '--config.method.weight=inf'),
    _train(
      'everything held out',
      'data.holdout is 1.0; a share below 1 is needed',
      '--config.data.holdout=1.0',
    ),
    _train(
      'drop behind the end', 'fractions of the training are needed', '--config.drops=(0.5, 1.5)'
    ),
    _train(
      'drop that is a word', 'fractions of the training are needed', "--config.drops=('half',)"
    ),
    _train('padding larger than the image', 'data.padding is 9', '--config.data.padding=9'),
    _train('flip that is neither', 'data.flip is 2', '--config.data.flip=2'),
    _train('seed too large', 'it must be below 2**32', f'--config.seed={2**32}'),
    _train('seed larger than any', 'it must be below 2**32', f'--config.seed={2**70}'),
    _train(
      'coordinator without a port',
      '--coordinator=here is not HOST:PORT',
      '--coordinator=here',
      '--num_processes=2',
      '--process_id=1',
    ),
    _train('process that is not counted', 'needs --num_processes', '--coordinator=localhost:1'),
    _train(
      'processes without a coordinator',
      'give --coordinator=HOST:PORT as well',
      '--num_processes=2',
      '--process_id=1',
    ),
    _bare(
      "run's config.json that is not there",
      'cannot be read',
      '--config=nowhere/config.json',
      status=2,
    ),
    _train('more devices than there are', 'devices is 99', '--config.devices=99'),
    _train(
      'more groups than devices',
      'device_groups is 2; one device makes 1 of equal size',
      '--config.device_groups=2',
    ),
    _train('too little memory', 'MiB are free for it', '--config.memory_gib=0.0001'),
    _train('no projectors to train', 'num_projectors is 0', '--config.method.num_projectors=0'),
    _train('factor beyond the target', 'factor is 9999', '--config.method.factor=9999'),
    _train(
      'a loss on each of the learned',
      "take integration='mean'",
      '--config.method.integration=learned',
      '--config.method.separate=True',
    ),
  ),
  'Paths': (
    _train('no workdir', 'no workdir was given; name a folder', '--workdir='),
    _train('flag for a workdir', 'looks like a flag', '--workdir', '-x'),
    _train('workdir below a file', "workdir 'file/run' cannot be written", '--workdir=file/run'),
    _train('file for a workdir', "workdir 'file' cannot be written", '--workdir=file'),
    _train('workdir with a long name', 'File name too long', f'--workdir={"a" * 300}'),
    _train(
      'workdir on a remote store',
      "workdir 's3://bucket/run' is not on a local disk",
      '--workdir=s3://bucket/run',
    ),
    _train("nobody's workdir", 'there is no such user', '--workdir=~nobody-of-that-name/run'),
    _train(
      'workdir of another run', 'holds a run with seed = 7 and not 0', '--workdir=runs/seed-7'
    ),
    _train('workdir with a damaged config', 'is damaged', '--workdir=runs/cut-config'),
    _train('workdir with a list for a config', 'is damaged', '--workdir=runs/listed-config'),
    _train(
      'workdir without its config',
      'holds checkpoints and no config.json',
      '--workdir=runs/no-config',
    ),
    _train("teacher's folder below a file", 'file/teachers', '--config.teacher.dir=file/teachers'),
    _train(
      'teacher on a remote store',
      'is not on a local disk',
      '--config.teacher.bundle=gs://bucket/teacher',
    ),
    _train(
      'teacher that is not there',
      "bundle 'nowhere' does not exist",
      '--config.teacher.bundle=nowhere',
    ),
    _train(
      'teacher of other classes',
      'is for the 3 classes of other',
      '--config.teacher.bundle=bundles/three',
    ),
    _train('start that is not there', "bundle 'nowhere' does not exist", '--config.start=nowhere'),
    _train(
      'start of another student',
      'pidkd trains resnet14, which is not the ResNet of the bundle',
      '--config.start=bundles/digits',
      '--config.student=resnet14',
    ),
    _train(
      "start of another teacher's network",
      'teacher trains resnet14, which is not the ResNet of the bundle',
      '--config.teacher.start=bundles/three',
      '--config.teacher.model=resnet14',
    ),
    _train(
      'start of a teacher that is not trained',
      "teacher.start is 'bundles/digits', and teacher.bundle names a teacher",
      '--config.teacher.start=bundles/digits',
      '--config.teacher.bundle=bundles/digits',
    ),
    _train(
      'unlabelled images that are not there',
      'nowhere is not there; correct --config.data.unlabelled',
      '--config.data.unlabelled=nowhere',
    ),
    _train('unlabelled images that are none', 'have no images', '--config.data.unlabelled=empty'),
    _bare(
      'unlabelled images for a method that reads labels',
      'kd_1_1 cannot train on unlabelled images',
      '--config=digits:kd_1_1',
      '--workdir=run',
      '--config.data.shots=5',
      '--config.data.unlabelled=rest',
    ),
    _train(
      'the rest of all images',
      "data.unlabelled is 'rest', and data.shots is 0",
      '--config.data.unlabelled=rest',
    ),
    _train(
      'start with other pixels than the teacher',
      'was trained with another mean of the pixels',
      '--config.start=bundles/distilled',
      '--config.teacher.bundle=bundles/darker',
    ),
    _train(
      'data folder on a remote store',
      'stage it to a local folder first',
      '--config.data.dir=s3://bucket/tfds',
    ),
    _train('data folder below a file', 'file/tfds', '--config.data.dir=file/tfds'),
    _train(
      'crop ratio without a size', 'no size was given to crop to', '--config.data.crop_ratio=0.5'
    ),
    _train('crop of no area', 'two shares are needed', '--config.data.crop_scale=0,1'),
    _train('crop of no kind', "did you mean 'resized'", '--config.data.crop=resize'),
    _train(
      'larger teacher that no bundle holds',
      'and no bundle holds the teacher',
      '--config.data.image_size=8',
      '--config.data.teacher_size=16',
    ),
    _study(
      'file for the workdir of a study',
      'cannot be written',
      '--config=methods:resnet14x2-resnet8',
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
    _train(
      'prepared data without their JSON',
      'holds no whole prepared dataset',
      '--config.data.dir=prepared/no-json',
    ),
    _train('prepared data cut short', 'is damaged', '--config.data.dir=prepared/cut'),
    _train('prepared data that are empty', 'is damaged', '--config.data.dir=prepared/emptied'),
    _train(
      'streamed data cut short',
      'is damaged',
      '--config.data.dir=prepared/cut',
      '--config.data.streaming=always',
    ),
    _train(
      'streamed data of which no single record can be read',
      'is prepared as tfrecord',
      '--config.data.dir=prepared/tfrecord',
      '--config.data.streaming=always',
    ),
    _train(
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
    _folder(
      'shard that is compressed',
      'good.tar.gz cannot be read in place; unpack it to .tar',
      '--config.data.archive=archives/good.tar.gz',
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
        ('manifest cut short', 'is damaged: Expecting', 'unreadable'),
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
    _evaluate(
      'images in folders that are no classes',
      'that are no class of the bundle',
      '--bundle=bundles/distilled',
      '--images=bundles',
    ),
    _evaluate(
      'folder of test images that is not there',
      "'nowhere' is no folder; name one with CLASS/IMAGE",
      '--bundle=bundles/distilled',
      '--images=nowhere',
    ),
    _evaluate(
      'folder of images and a data set',
      '--images is in place of --data and --archive',
      '--bundle=bundles/distilled',
      '--images=bundles',
      '--data=digits',
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
      "because 'HOME/file'",
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
        ('image that is not there', 'is not there; name JPEG, PNG', 'nope'),
        ('folder for an image', 'is a folder without images (.bmp,', 'folder'),
        (
          'image cut short to look at',
          'is not a whole JPEG, PNG, BMP, WebP, TIFF or PPM file',
          'cut',
        ),
        ('image of four gigapixels', 'pixels that Pillow allows', 'bomb'),
        (
          'animation for an image',
          'is not a whole JPEG, PNG, BMP, WebP, TIFF or PPM file',
          'animation',
        ),
      )
    ),
    _predict(
      'good image beside one that is none',
      'images/text.png is not a whole JPEG',
      'images/good.png',
      'images/text.png',
    ),
    _predict(
      'file that predictions would replace',
      'holds no predictions; give another file',
      'images/good.png',
      '--out=file',
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
        ('number for a tensor', 'its entries are epoch; --key names', 'number'),
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
      "is that of 'resnet8', not of 'resnet14'",
      '--checkpoint=torch/resnet8.pth',
      '--model=resnet14',
    ),
    _torch(
      'checkpoint of another library',
      "is torchvision's resnet18 (timm's has the same names), a stem of 7x7, 1,000 classes",
      '--checkpoint=torch/torchvision.pth',
    ),
    _torch(
      'checkpoint of other classes than the data',
      'for colour images of 4 classes',
      '--checkpoint=torch/resnet8.pth',
      '--data=digits',
    ),
    _torch(
      "timm's file of another network",
      "says that it is 'resnet18_imagenet', and --model is 'resnet8'",
      '--checkpoint=torch/another/resnet8.pth',
    ),
    _torch(
      "timm's file of other classes than the weights",
      'is of 2 classes, and the weights are of 4; put the right file there',
      '--checkpoint=torch/fewer/resnet8.pth',
    ),
    _torch(
      "timm's file that contradicts itself",
      'is damaged (2 label_names for 4 classes)',
      '--checkpoint=torch/damaged/resnet8.pth',
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
  'Registered names': tuple(generated.names()),
  'Values of flags': tuple(generated.flags()),
  'Values of config fields': tuple(generated.fields()),
}
