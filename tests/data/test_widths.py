"""Columns that stand below each other in a terminal, in any language."""

from __future__ import annotations

import pytest

from denpa.data.widths import cells, padded


@pytest.mark.parametrize(("text", "columns"), [("age", 3), ("年齢", 4), ("ﾈｺ", 2), ("e\u0301", 1), ("", 0)])
def test_a_text_takes_so_many_columns(text, columns):
    assert cells(text) == columns
    assert padded(text, 6) == text + " " * (6 - columns)
    assert padded(text, 6, right=True) == " " * (6 - columns) + text


def test_a_text_that_is_too_wide_is_left_as_it_is():
    assert padded("年齢", 3) == "年齢"
