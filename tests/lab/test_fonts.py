"""Words of any language in pictures."""

from __future__ import annotations

import warnings

from denpa.lab.fonts import every_character


def drawn(words: str, path, besides: str | None = None) -> None:
    from matplotlib.figure import Figure

    with every_character():
        figure = Figure(figsize=(1, 1))
        figure.text(0, 0.5, words)
        figure.savefig(path)
        if besides:
            warnings.warn(besides, UserWarning, stacklevel=1)


def test_one_warning_names_the_characters_that_no_font_has_and_others_pass(tmp_path):
    nowhere = "\U00050000\U00050001"  # no character is assigned to these code points
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        drawn("a" + nowhere, tmp_path / "p.png", besides="something else")
    assert [str(one.message).split(":")[0] for one in told] == [
        "something else",
        f"No font known here has the characters {nowhere}",
    ]


def test_letters_that_fonts_have_go_without_a_word(tmp_path):
    drawn("naïve δ", tmp_path / "p.png")
