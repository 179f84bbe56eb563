import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.report import published_results

LABELS = ['teacher', 'pidkd', 'simkd']


def read(path, text, encoding='utf-8'):
  path.write_text(text, encoding=encoding)
  return published_results.read(path, LABELS)


def test_a_column_of_its_own_names_each_source(tmp_path):
  found = read(
    tmp_path / 'p.csv',
    'label,value,source\nsimkd,78.08,"SimKD, table 2"\npidkd,78.5,PIDKD\n',
    'utf-8-sig',  # As spreadsheets write it.
  )
  column = found.column(['teacher', 'pidkd', 'simkd'])
  assert 'published elsewhere' in column.heading
  assert column.cells == ['', '78.50 [2]', '78.08 [1]']
  assert column.values['published in'] == [None, 'PIDKD', 'SimKD, table 2']
  assert '[1] SimKD, table 2; [2] PIDKD' in found.note


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('name,value\n', 'has no column label, source; its first line must be label,value,source'),
    ('', 'has no column label, value, source'),
    ('label,value,source\nsimdk,1,x\n', "unknown label .* 'simdk'; did you mean 'simkd'"),
    ('label,value,source\nsimkd,high,x\n', "the value 'high' in line 2"),
    ('label,value,source\nsimkd,780.8,x\n', "the value '780.8' in line 2; .* from 0 to 100"),
    ('label,value,source\nsimkd,nan,x\n', "the value 'nan' in line 2; .* from 0 to 100"),
    ('label,value,source\nsimkd,70\n', 'gives no source in line 2'),
    ('label,value,source\nsimkd,1,x\nsimkd,2,x\n', "has 'simkd' again in line 3"),
    ('label,value,source\n"simkd,1,x\n', 'cannot be read'),
  ],
)
def test_other_content_is_refused_in_one_line(tmp_path, text, message):
  with pytest.raises(UserError, match=message) as error:
    read(tmp_path / 'p.csv', text)
  assert '\n' not in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path):
  with pytest.raises(UserError, match='No such file'):
    published_results.read(tmp_path / 'nowhere.csv', LABELS)
  with pytest.raises(UserError, match='cannot be read'):
    published_results.read(tmp_path, LABELS)
  (tmp_path / 'x.csv').write_bytes(b'\xff\xfe\x00')
  with pytest.raises(UserError, match='cannot be read'):
    published_results.read(tmp_path / 'x.csv', LABELS)
