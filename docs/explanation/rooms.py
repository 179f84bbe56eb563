"""Draw rooms.svg: the rooms of pidkd_jax on their floors, with arrows from importer to imported.

    python docs/explanation/rooms.py

An arrow that a longer path implies is left out. `tests/test_architecture.py` lists all of them.
"""

import ast
import html
import pathlib
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2] / 'pidkd_jax'
SVG = pathlib.Path(__file__).with_suffix('.svg')
HOLDS = {
  'api': 'train, distill, load',
  'bundles': 'trained networks as folders',
  'cli': 'one command a file',
  'core': 'records, errors, files',
  'data': 'datasets, batches',
  'evaluation': 'measures, cost, probe',
  'experiment': 'configs, runs, studies',
  'export': 'StableHLO, ONNX, weights',
  'latency': 'speed of bundles and exports',
  'methods': 'one method a file',
  'models': 'one family a file',
  'nn': 'layers, projectors, losses',
  'parallel': 'devices, processes',
  'report': 'tables and figures',
  'training': 'cohort, step, loop',
}
_WIDTH, _BOX, _HEIGHT, _FLOOR = 900, 190, 52, 112


def arrows() -> dict[str, set[str]]:
  """Return {room: the rooms that its modules import}."""
  rooms = {path.parent.name for path in ROOT.glob('*/__init__.py')}
  imports = {room: set() for room in rooms}
  for room in rooms:
    for path in (ROOT / room).rglob('*.py'):
      imports[room] |= _imported(ast.parse(path.read_text())) & rooms - {room}
  return imports


def _imported(tree: ast.AST) -> set[str]:
  """Return the second part of each `pidkd_jax.ROOM` that a module imports."""
  names = []
  for node in _executed(tree):
    if isinstance(node, ast.Import):
      names += [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
      names += [f'{node.module}.{alias.name}' for alias in node.names]
  return {name.split('.')[1] for name in names if name.startswith('pidkd_jax.')}


def _executed(node: ast.AST) -> Iterator[ast.AST]:
  """Yield a node and all below it, without the branches that only type checkers read."""
  yield node
  for child in ast.iter_child_nodes(node):
    if not (isinstance(child, ast.If) and ast.unparse(child.test) == 'TYPE_CHECKING'):
      yield from _executed(child)


def floors(imports: dict[str, set[str]]) -> dict[str, int]:
  """Return each room's floor: one above the highest room that it imports."""
  levels = {}

  def level(room):
    if room not in levels:
      levels[room] = 1 + max((level(other) for other in imports[room]), default=-1)
    return levels[room]

  return {room: level(room) for room in sorted(imports)}


def _below(room: str, imports: dict[str, set[str]]) -> set[str]:
  """Return every room that `room` imports, directly or not."""
  return set().union(*({other} | _below(other, imports) for other in imports[room]))


def shown(imports: dict[str, set[str]]) -> dict[str, set[str]]:
  """Return the arrows that no longer path implies."""
  return {
    room: others - set().union(*(_below(other, imports) for other in others))
    for room, others in imports.items()
  }


def draw() -> str:
  """Return the picture as SVG."""
  imports = arrows()
  levels, kept = floors(imports), shown(imports)
  top = max(levels.values())
  x = {}
  for level in range(top + 1):
    row = [room for room in levels if levels[room] == level]
    # A room stands above what it imports.
    row.sort(key=lambda room: (sum(x[o] for o in kept[room]) / len(kept[room] or ' '), room))
    gap = _WIDTH / len(row)
    x |= {room: round(gap * (place + 0.5)) for place, room in enumerate(row)}
  y = {room: 16 + _FLOOR * (top - level) for room, level in levels.items()}
  height = 32 + _FLOOR * top + _HEIGHT
  lines, boxes = [], []
  for room in sorted(kept):
    for other in sorted(kept[room]):
      start, end = y[room] + _HEIGHT, y[other] - 5
      bend = (end - start) // 2
      lines.append(
        f'<path d="M{x[room]} {start} C{x[room]} {start + bend} {x[other]} {end - bend} '
        f'{x[other]} {end}"/>'
      )
    boxes.append(
      f'<rect x="{x[room] - _BOX // 2}" y="{y[room]}" width="{_BOX}" height="{_HEIGHT}" rx="8"/>'
      f'<text x="{x[room]}" y="{y[room] + 22}" class="name">{room}</text>'
      f'<text x="{x[room]}" y="{y[room] + 40}">{html.escape(HOLDS.get(room, ""))}</text>'
    )
  return '\n'.join(
    [
      f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
      'font-family="sans-serif" font-size="12" text-anchor="middle">',
      '<title>The rooms of pidkd_jax and their imports</title>',
      '<style>path{fill:none;stroke:#7a869a;stroke-width:1.4;marker-end:url(#tip)}'
      'rect.paper{fill:#fff;stroke:none}rect{fill:#eef2fb;stroke:#3f51b5}'
      'text{fill:#42526e}.name{font-weight:bold;font-size:15px;fill:#172b4d}</style>',
      '<defs><marker id="tip" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="7" '
      'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" '
      'style="fill:#7a869a;stroke:none;marker-end:none"/></marker></defs>',
      f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
      *lines,
      *boxes,
      '</svg>\n',
    ]
  )


if __name__ == '__main__':
  SVG.write_text(draw())
