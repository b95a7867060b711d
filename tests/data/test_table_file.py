"""Tables: what is read from them, and what is told of those that cannot be."""

import pytest

from mothernets_jax.data.table_file import read_table

WANTED = {"path_column": "path", "label_column": "label"}


def read(tmp_path, content, wanted=WANTED):
    file = tmp_path / "images.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(file, wanted)


CONTENTS = {
    "commas": "path,label\na.png,cat\nb.png,dog\n",
    "a byte order mark": "\ufeffpath,label\na.png,cat\nb.png,dog\n",
    "semicolons": "path;label;note\na.png;cat;1,5\nb.png;dog;2,5\n",
    "tabs": "path\tlabel\na.png\tcat\nb.png\tdog\n",
    "commas beside semicolons": "path,label,a;b\na.png,cat,1;2\nb.png,dog,3;4\n",
    "other columns and their order": "x,label,path,y\n,cat,a.png,\n,dog,b.png,\n",
    "spaces": "path , label\na.png, cat\n b.png ,dog \n",
    "quotes": '"path","label"\n"a.png","cat"\n"b.png",dog\n',
    "empty lines": "path,label\n\na.png,cat\n\nb.png,dog\n\n",
    "Windows": "path,label\r\na.png,cat\r\nb.png,dog",
}


@pytest.mark.parametrize("how", CONTENTS)
def test_columns_are_read(tmp_path, how):
    table = read(tmp_path, CONTENTS[how])
    assert table.columns["path_column"] == ["a.png", "b.png"]
    assert table.columns["label_column"] == ["cat", "dog"]
    assert table.lines == ([3, 5] if how == "empty lines" else [2, 3])


def test_values_in_quotes_are_whole(tmp_path):
    content = 'path,label\n"a, b.png","the ""cat"""\nc.png,é\n'
    columns = read(tmp_path, content).columns
    assert columns["path_column"] == ["a, b.png", "c.png"]
    assert columns["label_column"] == ['the "cat"', "é"]


MISTAKES = [
    ("", r"path_column is 'path', and the columns of .*images\.csv are ''"),
    ("path,label\n", r"images\.csv has no rows below its first line"),
    (
        "path,Labels\na,b\n",
        r"label_column is 'label', .*'path, Labels'; did you mean 'L",
    ),
    (
        "Path;label\na;b\n",
        r"path_column is 'path', .*'Path, label'; did you mean 'Path",
    ),
    (
        "path,label,label\na,b,c\n",
        r"label_column is 'label', and .* has 2 columns of t",
    ),
    ("path,label\na,b,c\n", r"line 2 of .* has 3 values, and the first line 2 names"),
    ("path,label\na,b\n\nc\n", r"line 4 of .* has 1 values"),
    ("path,label\na,b\nc, \n", r"line 3 of .* has no value in the column 'label'"),
    ('path,label\na,"b', r"cannot read .* after line 1 as CSV: unexpected end of data"),
    (b"path,label\na,\xe9\n", r"images\.csv is not in UTF-8 \(.*save it as CSV in UTF"),
]


@pytest.mark.parametrize(("content", "message"), MISTAKES)
def test_a_mistake_is_told(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*/x\.csv: expected a table"):
        read_table(tmp_path / "x.csv", WANTED)
    with pytest.raises(ValueError, match="is no file: expected a table"):
        read_table(tmp_path, WANTED)
