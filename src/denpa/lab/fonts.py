"""Fonts that have the characters of any language, among those that are installed."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

__all__ = ["every_character"]

# One of these has Japanese and Chinese characters where it is installed.
_FONTS = ["DejaVu Sans", "Noto Sans CJK JP", "IPAexGothic", "Hiragino Sans", "Yu Gothic", "Noto Sans JP"]


@contextlib.contextmanager
def every_character() -> Iterator[None]:
    """Words of any language, in fonts that are there; characters that are in none of them become boxes."""
    from matplotlib import font_manager, rc_context

    here = [font for font in _FONTS if font in font_manager.get_font_names()]
    with warnings.catch_warnings(), rc_context({"font.family": here, "svg.fonttype": "none"}):
        warnings.filterwarnings("ignore", message="Glyph ")
        yield
