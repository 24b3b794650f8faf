"""Checks in a line, and what they measure: for exact statements, of which a study has many."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.lab.studies.study import Check, Text

__all__ = ["check", "exactly", "off", "typically"]


def check(en: str, ja: str, values: Any, low: float, high: float, contradicts: bool = False) -> Check:
    """A claim in English and Japanese, its numbers, and the bounds."""
    return Check(Text(en, ja), values, low, high, contradicts)


def typically(en: str, ja: str, values: Any, low: float, high: float, contradicts: bool = False) -> Check:
    """The same of the median over the seeds, for what single networks do not all do."""
    return check(f"{en}, median of the seeds", f"{ja}（シードの中央値）", np.median(values), low, high, contradicts)


def exactly(en: str, ja: str, values: Any, wanted: float) -> Check:
    """The same where one number alone will do."""
    return Check(Text(en, ja), values, wanted, wanted)


def off(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference as a share of the largest component of `theirs`."""
    return float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))
