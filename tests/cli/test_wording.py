"""Messages name options of the command line, and each can be typed as it stands."""

from __future__ import annotations

import shlex

import pytest

from denpa.cli.wording import for_command_line


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("missing=...", ["--missing", "WAY"]),
        ("missing={'b c': 'drop', ...}", ["--data.missing", '{"b c" = "drop"}']),
        ("ignore=['my id']", ["--ignore", "my id"]),
        ('ignore=["it\'s"]', ["--ignore", "it's"]),
        ("categorical=[...]", ["--categorical", "COLUMN", "..."]),
        ("missing_values=['-', 'x']", ["--data.options.missing_values", '["-", "x"]']),
        ("decimal=','", ["--data.options.decimal", ","]),
        ("header=False", ["--data.options.header", "false"]),
        ("size=(height, width)", ["--data.options.size", "[height, width]"]),
        ("target=...", ["--target", "COLUMN"]),
        ("the column missing=[a", ["the", "column", "missing=[a"]),
    ],
)
def test_arguments_become_options(python, words):
    assert shlex.split(for_command_line(python)) == words


def test_the_rest_stays_as_it_is():
    text = "t.csv, line 3: 'x=1' (line 2); pass decimal=',', or name it in categorical=[...]."
    ours = "t.csv, line 3: 'x=1' (line 2); pass --data.options.decimal ',', or name it in --categorical COLUMN ...."
    assert for_command_line(text) == ours
