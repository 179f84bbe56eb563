"""Files for hosts: workflows, templates, hooks, containers and changelog agree with the project."""

import pathlib
import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests.small import ROOT

PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
PYTHON = SpecifierSet(PROJECT['requires-python'])
PYTHONS = [each.rpartition(' ')[2] for each in PROJECT['classifiers'] if ':: Python :: 3.' in each]
MAKEFILE = (ROOT / 'Makefile').read_text()
WORKFLOWS = sorted((ROOT / '.github/workflows').glob('*.yml'))
TEMPLATES = sorted((ROOT / '.github/ISSUE_TEMPLATE').glob('[!c]*.yml'))
DOCKERFILES = sorted(ROOT.glob('Dockerfile*'))
CHANGELOG = (ROOT / 'CHANGELOG.md').read_text()


def name(path: pathlib.Path) -> str:
  return path.name


def jobs(path):
  return yaml.safe_load(path.read_text())['jobs']


def rows(job):
  """Return the rows of a job's matrix; one empty row where it has none."""
  matrix = job.get('strategy', {}).get('matrix', {})
  return matrix.get('include') or [{'python': each} for each in matrix.get('python', [])] or [{}]


def filled(text, row):
  return re.sub(r'\$\{\{ matrix\.(\w+) \}\}', lambda found: row[found[1]], text)


@pytest.mark.parametrize('path', WORKFLOWS, ids=name)
def test_commands_of_a_workflow_exist(path):
  for job in jobs(path).values():
    for command in [step['run'] for step in job['steps'] if 'run' in step]:
      program, first, *_ = [*command.split(), '']
      if program == 'make':
        target = first.replace('.venv', '$(VENV)')
        assert re.search(rf'^{re.escape(target)}:', MAKEFILE, re.MULTILINE), command
      elif program.startswith('.ci/'):
        assert (ROOT / program).stat().st_mode & 0o111, command
      else:
        assert program in ('.venv/bin/python', '.venv/bin/pidkd'), command


@pytest.mark.parametrize('path', WORKFLOWS, ids=name)
def test_a_workflow_takes_pythons_that_the_project_allows(path):
  for job in jobs(path).values():
    [*setups] = [step['with'] for step in job['steps'] if 'setup-python' in step.get('uses', '')]
    for setup in setups:
      for row in rows(job):
        assert filled(setup['python-version'], row) in PYTHONS


def test_the_matrix_has_the_oldest_and_the_newest():
  tests = rows(jobs(ROOT / '.github/workflows/ci.yml')['tests'])
  found = {row['jax']: row['python'] for row in tests}
  assert found == {'oldest': PYTHONS[0], 'newest': PYTHONS[-1], 'nightly': PYTHONS[-1]}
  for row in tests:
    assert not row['constraint'] or (ROOT / row['constraint']).is_file()


def test_the_named_pythons_begin_with_the_lowest_that_is_allowed():
  assert str(PYTHON) == f'>={PYTHONS[0]}'
  assert PYTHONS == sorted(PYTHONS, key=Version)


def test_the_oldest_versions_are_the_bounds_of_the_project():
  text = (ROOT / '.github/constraints/oldest.txt').read_text()
  pinned = dict(re.findall(r'^([\w-]+)==(\S+)$', text, re.MULTILINE))
  assert pinned.pop('jaxlib') == pinned['jax']
  required = PROJECT['dependencies'] + PROJECT['optional-dependencies']['train']
  for requirement in map(Requirement, required):
    if requirement.name in pinned:
      [lowest] = [each.version for each in requirement.specifier if each.operator == '>=']
      assert Version(pinned.pop(requirement.name)) == Version(lowest)
  assert not pinned


def test_only_the_job_that_publishes_gets_a_token():
  release = jobs(ROOT / '.github/workflows/release.yml')
  assert release['publish']['permissions'] == {'id-token': 'write'}
  for path in WORKFLOWS:
    workflow = yaml.safe_load(path.read_text())
    assert workflow['permissions'] == {'contents': 'read'}
    assert [key for key, job in workflow['jobs'].items() if 'permissions' in job] in (
      [],
      ['publish'],
    )


@pytest.mark.parametrize('path', TEMPLATES, ids=name)
def test_a_template_asks_by_unique_fields(path):
  form = yaml.safe_load(path.read_text())
  assert form['name'] and form['description']
  ids = [field['id'] for field in form['body']]
  assert len(ids) == len(set(ids)) > 0


def test_the_hooks_have_the_version_that_lint_has():
  hooks = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())['repos']
  [version] = [each['rev'] for each in hooks if each['repo'].endswith('/ruff-pre-commit')]
  assert f'ruff=={version.removeprefix("v")}' in PROJECT['optional-dependencies']['lint']


@pytest.mark.parametrize('path', DOCKERFILES, ids=name)
def test_a_container_is_built_of_what_is_there(path):
  text = path.read_text()
  ignore = (ROOT / '.dockerignore').read_text().splitlines()
  for copied in re.findall(r'^COPY (?!--from)(.+) \S+$', text, re.MULTILINE):
    for source in copied.split():
      assert (ROOT / source).exists() and f'!{source}' in ignore
  bases = re.findall(r'^FROM python:(3\.\d+\.\d+)-slim-\w+(?: AS build)?$', text, re.MULTILINE)
  assert len(bases) == 2 and len(set(bases)) == 1 and bases[0].rpartition('.')[0] in PYTHONS
  [extras] = re.findall(r"'\.\[([\w,]+)\]'", text)
  assert {'train', *extras.split(',')} <= PROJECT['optional-dependencies'].keys()
  last = text.rpartition('FROM ')[2]
  assert re.search(r'^USER (?!root)\w+$', last, re.MULTILINE)
  assert re.search(r'^ENTRYPOINT \["pidkd"\]$', last, re.MULTILINE)
  assert all('--no-cache-dir' in line for line in text.splitlines() if 'pip install' in line)


def test_the_changelog_keeps_its_format():
  released = re.findall(r'^## \[(\S+)\] - (\S+)$', CHANGELOG, re.MULTILINE)
  versions = [Version(version) for version, _ in released]
  assert versions == sorted(versions, reverse=True)
  cited = yaml.safe_load((ROOT / 'CITATION.cff').read_text())['version']
  assert Version(cited) == versions[0]
  assert all(re.fullmatch(r'\d{4}-\d\d-\d\d', date) for _, date in released[1:])
  kinds = set(re.findall(r'^### (.+)$', CHANGELOG, re.MULTILINE))
  assert kinds <= {'Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'}


def test_a_tag_is_the_version_and_is_dated(tmp_path):
  def copy(file, text):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path

  script = copy('.ci/tag', (ROOT / '.ci/tag').read_text())
  copy('CITATION.cff', 'version: 0.2.0\n')

  def said(tag, heading):
    copy('CHANGELOG.md', f'{heading}\n')
    done = subprocess.run(['bash', script, tag], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr

  assert said('v0.2.0', '## [0.2.0] - 2026-12-01') == (0, '')
  assert said('v0.2', '## [0.2] - 2026-12-01')[1].startswith('tag v0.2 is no version')
  assert 'another version than 0.3.0' in said('v0.3.0', '## [0.3.0] - 2026-12-01')[1]
  assert "no line '## [0.2.0] - YYYY-MM-DD'" in said('v0.2.0', '## [0.2.0] - Unreleased')[1]
