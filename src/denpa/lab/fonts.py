"""Fonts that have the characters of any language, among those that are installed."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

__all__ = ["every_character"]

# After matplotlib's own, those of which one is installed where Japanese or Chinese is read: on Linux, macOS, Windows.
_FONTS = (
    *("DejaVu Sans", "Noto Sans CJK JP", "IPAexGothic", "IPAGothic", "TakaoGothic", "VL Gothic", "WenQuanYi Zen Hei"),
    *("Hiragino Sans", "PingFang SC", "Yu Gothic", "Meiryo", "MS Gothic", "Microsoft YaHei", "Noto Sans JP"),
)


@contextlib.contextmanager
def every_character() -> Iterator[None]:
    """Words of any language, in fonts that are there; of characters that are in none of them one warning speaks."""
    from matplotlib import font_manager, rc_context

    here = [font for font in _FONTS if font in font_manager.get_font_names()]
    boxes: dict[str, None] = {}
    with warnings.catch_warnings(), rc_context({"font.family": here, "svg.fonttype": "none"}):
        warnings.filterwarnings("always", message="Glyph ")  # matplotlib's, for each character and each drawing
        usual = warnings.showwarning

        def show(message: Any, *rest: Any, **named: Any) -> None:
            text = str(message)
            if text.startswith("Glyph "):  # "Glyph 23398 (...) missing from font(s) ..."
                boxes[chr(int(text.split()[1]))] = None
            else:
                usual(message, *rest, **named)

        warnings.showwarning = show
        yield
    if boxes:
        which = "".join(list(boxes)[:8]) + ("..." if len(boxes) > 8 else "")
        warnings.warn(
            f"No font known here has the characters {which}: the pictures show boxes. For Japanese and Chinese install "
            f"Noto Sans CJK, the package fonts-noto-cjk in Debian and Ubuntu.",
            UserWarning,
            stacklevel=1,
        )
