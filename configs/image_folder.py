"""Images of your own: PHOTOS/train/CLASS/IMAGE and PHOTOS/test/CLASS/IMAGE, without writing code.

    python scripts/main.py --config configs/image_folder.py --workdir runs/photos \\
        --config.data.archive=PHOTOS --config.data.image_size=32

The pairs and their recipes are those of CIFAR-100, for images of 32x32 or so: ResNet-32x4 teaches
ResNet-8x4 unless `configs/image_folder.py:vgg13-vgg8` or --config.student and
--config.teacher.model name others. Small networks and few epochs suffice for a first try:
--config.student=resnet8 --config.teacher.model=resnet14 --config.total_epochs=5
--config.teacher.total_epochs=5. A batch has 64 images, so there must be as many. What to expect
depends on the images.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.default(arg, pairs.CIFAR100)
  c.data.name = 'image_folder'
  return c
