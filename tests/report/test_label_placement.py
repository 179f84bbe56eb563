import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pidkd_jax.report import label_placement, style
from pidkd_jax.report.label_placement import Point


def test_positions_with_room_stay_where_they_are():
  np.testing.assert_allclose(label_placement.spread([5, 1, 3], 1, 0, 10), [5, 1, 3])


def test_positions_that_are_too_near_move_apart_around_their_middle():
  np.testing.assert_allclose(label_placement.spread([4, 4, 4, 9], 1, 0, 10), [3, 4, 5, 9])


@pytest.mark.parametrize('wanted', [[0, 0, 0], [10, 10, 10], [-5, 20, 3]])
def test_positions_stay_in_the_range_and_in_order(wanted):
  found = label_placement.spread(wanted, 2, 0, 10)
  assert found.min() >= 0 and found.max() <= 10
  assert np.diff(np.sort(found)).min() >= 2 - 1e-9
  assert (np.argsort(found) == np.argsort(wanted, kind='stable')).all()


def test_no_label_covers_another_or_a_point():
  figure = Figure(figsize=(6, 4), dpi=100)
  axes = figure.subplots()
  rng = np.random.default_rng(0)
  points = {
    f'name{i}': Point(1.0, y) if i < 6 else Point(x, y)
    for i, (x, y) in enumerate(rng.random((14, 2)))
  }
  axes.plot([p.x for p in points.values()], [p.y for p in points.values()], 'o')
  label_placement.label_points(axes, points, style.label_styles(points, 'name3'))
  renderer = FigureCanvasAgg(figure).get_renderer()
  boxes = {text.get_text(): text.get_window_extent(renderer) for text in axes.texts}
  # An annotation's extent has its line in it; the text alone is what must not be covered.
  texts = {t.get_text(): super(type(t), t).get_window_extent(renderer) for t in axes.texts}
  assert boxes.keys() == texts.keys() == points.keys()
  for name, box in texts.items():
    assert not any(box.overlaps(other) for key, other in texts.items() if key != name), name
    centres = [axes.transData.transform((point.x, point.y)) for point in points.values()]
    assert not any(box.contains(*centre) for centre in centres), name


def test_styles_are_distinct_and_ours_and_the_baseline_prominent():
  styles = style.label_styles([*map(str, range(25)), 'pidkd', 'simkd'], 'simkd')
  assert len({(look.colour, look.line) for look in styles.values()}) == 27
  assert {label for label, look in styles.items() if look.prominent} == {'pidkd', 'simkd'}
