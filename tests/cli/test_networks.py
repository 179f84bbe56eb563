"""`pidkd networks`."""

import re
import types

from pidkd_jax.cli.commands import networks


def test_networks_that_can_be_narrowed_are_named(monkeypatch, capsys):
  given = types.SimpleNamespace(image_size=8, num_classes=10, maps=False)
  monkeypatch.setattr(networks, 'FLAGS', given)
  monkeypatch.setattr(networks.models, 'names', lambda: ['resnet8', 'vgg8'])
  networks.main()
  text = capsys.readouterr().out
  assert re.search(r'\nvgg8 +[\d,]+ +[\d,]+ +1x1x512\n', text)
  flat = ' '.join(text.split())
  assert 'NAME*0.5 has half the channels of NAME, as in --config.student=resnet8*0.5' in flat
  assert 'NAME is one of resnet8. A network of your own is package.module:Class.' in flat
