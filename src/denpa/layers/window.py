"""The windows that convolutions and poolings slide over an image."""

from __future__ import annotations

from typing import Any, NamedTuple

from denpa.core.errors import ConfigError
from denpa.kernels.unfolding import NO_PADDING, Padding, Pair

__all__ = ["Windows", "check_pair", "check_windows", "paddings_of", "pair_of"]


class Windows(NamedTuple):
    """Size, stride and dilation of a window along two axes."""

    size: Pair
    stride: Pair
    dilation: Pair = (1, 1)

    @classmethod
    def of(cls, rank: int, size: Any, stride: Any, dilation: Any = 1) -> Windows:
        """From integers or pairs; with rank 1, from integers: the second axis then has a single place."""
        return cls(*(pair_of(value, rank) for value in (size, stride, dilation)))

    @property
    def reach(self) -> Pair:
        """How far a dilated window reaches along each axis."""
        height, width = (d * (k - 1) + 1 for k, d in zip(self.size, self.dilation, strict=True))
        return height, width


def pair_of(value: Any, rank: int = 2) -> Pair:
    """An integer stands for both axes, or with rank 1 for the first, where the second gets 1."""
    first, second = (*value, 1)[:2] if isinstance(value, tuple) else (value, value if rank == 2 else 1)
    return first, second


def check_pair(owner: Any, name: str, least: int = 1, rank: int = 2) -> None:
    """Refuse an option that is neither an integer of at least `least` nor `rank` of them."""
    value = getattr(owner, name)
    each = value if isinstance(value, tuple) else (value,) * rank
    if len(each) != rank or not all(_is_whole(one, least) for one in each):
        wanted = f"an integer of at least {least}" + ", or a pair of them" * (rank == 2)
        raise ConfigError(f"{type(owner).__name__}.{name} must be {wanted}, not {value!r}.")


def check_windows(owner: Any, *sizes: str, rank: int = 2, words: tuple[str, ...] = ("same", "valid")) -> None:
    """Refuse sizes, strides or dilations, by the names of the options, below 1, and a padding that is none."""
    for name in sizes:
        check_pair(owner, name, rank=rank)
    if not (owner.padding in words if isinstance(owner.padding, str) else _is_padding(owner.padding, rank)):
        known = ", ".join(f'"{word}"' for word in words)
        pairs = "a pair of them, or a pair of pairs" if rank == 2 else "or a pair of them"
        raise ConfigError(
            f"{type(owner).__name__}.padding must be {known}, an integer of at least 0, {pairs}, not {owner.padding!r}."
        )


def paddings_of(padding: Any, sizes: Any, windows: Windows, rank: int = 2) -> Padding:
    """Zeros on each side, ((top, bottom), (left, right)), for an image of these sizes."""
    if padding == "valid":
        return NO_PADDING
    if padding in ("same", "circular"):
        axes = zip(sizes, windows.reach, windows.stride, strict=True)
        needed = (max((-(-n // s) - 1) * s + reach - n, 0) for n, reach, s in axes)  # ⌈n / s⌉ windows fit
        vertical, horizontal = ((total // 2, total - total // 2) for total in needed)
        return vertical, horizontal
    if rank == 1:
        return pair_of(padding), (0, 0)
    vertical, horizontal = pair_of(padding)
    return pair_of(vertical), pair_of(horizontal)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31  # XLA's integers end there


def _is_padding(value: Any, depth: int) -> bool:
    """Whether it is a number, or a pair; its parts may be pairs down to this depth."""
    if isinstance(value, tuple):
        return depth > 0 and len(value) == 2 and all(_is_padding(part, depth - 1) for part in value)
    return _is_whole(value, 0)
