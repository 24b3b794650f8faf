"""Messages name options of the command line, and each can be typed as it stands."""

from __future__ import annotations

import shlex

import pytest

from denpa.cli.parse import _first_sentence
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
        ("target='price'", ["--target", "price"]),
        ("target='2'", ["--target", '"2"']),
        ("target='None'", ["--target", '"None"']),
        ("the column missing=[a", ["the", "column", "missing=[a"]),
    ],
)
def test_arguments_become_options(python, words):
    assert shlex.split(for_command_line(python)) == words


def test_the_rest_stays_as_it_is():
    text = "t.csv, line 3: 'x=1' (line 2); pass decimal=',', or name it in categorical=[...]."
    ours = "t.csv, line 3: 'x=1' (line 2); pass --data.options.decimal ',', or name it in --categorical COLUMN ...."
    assert for_command_line(text) == ours


def test_a_terminal_without_frames_gets_the_same_sentence():
    framed = "╭─ Missing ──╮\n│ No value for '--data-x'. Expected 1 values. │\n│ ──── │\n│ For help │\n╰──╯\n"
    plain = " Missing \n ------- \n  No value for '--data-x'. Expected 1 values.  \n  -------\n  For help\n"
    for said in (framed, plain):
        assert _first_sentence(said) == "No value for '--data-x'. Expected 1 value."
