"""Images of your own: PHOTOS/train/CLASS/IMAGE and PHOTOS/test/CLASS/IMAGE, without writing code.

    pidkd train --config image_folder --workdir runs/photos \\
        --config.data.archive=PHOTOS --config.data.image_size=32

Pairs and recipes are those of CIFAR-100, for images of about 32x32. ResNet-32x4 teaches ResNet-8x4,
unless `image_folder:vgg13-vgg8`, or --config.student and --config.teacher.model, name others. For a
first try, small networks and few epochs suffice: --config.student=resnet8
--config.teacher.model=resnet14 --config.total_epochs=5 --config.teacher.total_epochs=5. A batch has
64 images, so there must be as many.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.default(arg, pairs.CIFAR100)
  c.data.name = 'image_folder'
  return c
