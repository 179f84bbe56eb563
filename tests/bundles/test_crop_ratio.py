"""A bundle whose network sees the middle of a scaled image."""

import json
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import pidkd_jax
from pidkd_jax.bundles import bundle
from pidkd_jax.core import regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.export import catalog, example, export_folder
from pidkd_jax.models.network import Network
from tests.plain import Plain

SHAPE = (8, 8, 3)


@pytest.fixture(scope='module')
def network(fill):
  model = Plain(num_classes=2)
  return Network(fill(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *SHAPE)))), model)


def card(ratio):
  dataset = {'name': 'toy', 'class_names': ['ant', 'bee'], 'image_shape': SHAPE}
  return {'dataset': dataset | {'mean': (0.5,) * 3, 'std': (0.2,) * 3, 'crop_ratio': ratio}}


@pytest.fixture
def picture(tmp_path):
  """An image of 20x20 with a frame, and the 8 of 16 pixels that a ratio of a half sees."""
  pixels = np.full((20, 20, 3), 255, np.uint8)
  pixels[3:-3, 3:-3] = np.random.default_rng(0).integers(0, 100, (14, 14, 3))
  path = tmp_path / 'picture.png'
  Image.fromarray(pixels).save(path)
  scaled = Image.open(path).resize((16, 16), Image.Resampling.BILINEAR)
  return path, np.asarray(scaled)[4:12, 4:12]


def test_files_are_scaled_and_cut_by_the_bundles_ratio(network, tmp_path, picture):
  path, seen = picture
  bundle.save(tmp_path / 'half', network, card(0.5))
  bundle.save(tmp_path / 'whole', network, card(1.0))
  half, whole = (pidkd_jax.load(tmp_path / name, own=[Plain]) for name in ('half', 'whole'))
  np.testing.assert_allclose(half.predict(path), half.predict(seen), rtol=1e-5)
  assert np.abs(half.logits(path) - whole.logits(path)).max() > 1e-3
  # Arrays are what the network sees, so nothing is cut from them.
  np.testing.assert_array_equal(half.logits(seen), whole.logits(seen))


def test_an_exports_example_scales_and_cuts_alike(tmp_path, picture):
  path, seen = picture
  script = example.script(catalog.find('weights'), 'nhwc')
  (tmp_path / 'example.py').write_text(script)
  facts = card(0.5) | {'export': {'input': {'dtype': 'uint8'}}}
  (tmp_path / 'card.json').write_text(json.dumps(facts))
  preprocess = runpy.run_path(str(tmp_path / 'example.py'), run_name='example')['preprocess']
  np.testing.assert_array_equal(preprocess(path), seen[None])


@pytest.mark.parametrize('seen', [{'side': 8}, {}])
def test_an_exports_example_shows_what_evaluation_sees(tmp_path, seen):
  stored = np.random.default_rng(0).integers(0, 256, (2, 8 if not seen else 16, 8, 3), np.uint8)
  stored = np.repeat(stored, stored.shape[1] // 8, axis=2)
  test = ResidentSplit(stored, np.zeros(2, np.int32), **seen)
  export_folder._save_image(test, tmp_path / 'example.png')
  (tmp_path / 'example.py').write_text(example.script(catalog.find('weights'), 'nhwc'))
  facts = card(0.5 if seen else 1.0) | {'export': {'input': {'dtype': 'uint8'}}}
  (tmp_path / 'card.json').write_text(json.dumps(facts))
  preprocess = runpy.run_path(str(tmp_path / 'example.py'), run_name='example')['preprocess']
  [expected, _] = next(iter(test.blocks(2)))
  np.testing.assert_array_equal(preprocess(tmp_path / 'example.png')[0], expected)


@pytest.mark.parametrize('ratio', [0, 1.5, 'half', 1e-9])
def test_a_ratio_that_nobody_can_use_is_refused(network, tmp_path, ratio):
  bundle.save(tmp_path / 'odd', network, card(1.0))
  path = tmp_path / 'odd' / 'card.json'
  path.write_text(json.dumps({'model': json.loads(path.read_text())['model'], **card(ratio)}))
  manifest = json.loads((tmp_path / 'odd' / 'manifest.json').read_text())
  manifest['card.json'] = regular_file.sha256(path)
  (tmp_path / 'odd' / 'manifest.json').write_text(json.dumps(manifest))
  with pytest.raises(UserError, match='its crop_ratio is'):
    bundle.load(tmp_path / 'odd', [Plain])
