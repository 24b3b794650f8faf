"""The windows that convolutions and poolings slide over an image."""

from __future__ import annotations

from typing import Any, NamedTuple

from denpa.core.errors import ConfigError

__all__ = ["Pair", "Windows", "check_pair", "check_windows", "paddings_of", "pair_of", "whole"]

Pair = tuple[int, int]


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
    if isinstance(value, (tuple, list)):
        return tuple(value) if rank == 2 else (*value, 1)  # type: ignore[return-value]
    return (value, value) if rank == 2 else (value, 1)


def whole(owner: Any, name: str, value: Any, least: int = 1) -> int:
    """The value; refused where it is not an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(
            f"{type(owner).__name__}.{name} must be an integer of at least {least}, or two of them, not {value!r}."
        )
    return value


def check_pair(owner: Any, name: str, value: Any, least: int = 1, rank: int = 2) -> None:
    """Refuse an option that is neither an integer of at least `least` nor `rank` of them."""
    if isinstance(value, tuple) and len(value) != rank:
        raise ConfigError(f"{type(owner).__name__}.{name} wants an integer or {rank} of them, not {value!r}.")
    for one in pair_of(value, rank)[:rank]:
        whole(owner, name, one, least)


def check_windows(owner: Any, windows: Windows) -> None:
    """Refuse sizes, strides or dilations below 1, and a padding that is none."""
    rank, size = getattr(owner, "rank", 2), "kernel_size" if hasattr(owner, "kernel_size") else "pool_size"
    for name, pair in zip((size, "stride", "dilation"), windows, strict=True):
        given = getattr(owner, name, None)
        check_pair(owner, name, pair[:rank] if given is None else given, rank=rank)
    object.__setattr__(owner, "padding", _checked_padding(owner, owner.padding, rank))


def paddings_of(owner: Any, padding: Any, sizes: Any, windows: Windows) -> tuple[Pair, Pair]:
    """Zeros on each side, ((top, bottom), (left, right)), for an image of these sizes."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding in ("same", "circular"):
        low_high = []
        for n, reach, s in zip(sizes, windows.reach, windows.stride, strict=True):
            total = max((-(-n // s) - 1) * s + reach - n, 0)
            low_high.append((total // 2, total - total // 2))
        return tuple(low_high)  # type: ignore[return-value]
    one_axis = getattr(owner, "rank", 2) == 1
    if isinstance(padding, int):
        return (padding, padding), (0, 0) if one_axis else (padding, padding)
    if one_axis:
        return tuple(padding), (0, 0)  # type: ignore[return-value]
    vertical, horizontal = ((p, p) if isinstance(p, int) else tuple(p) for p in padding)
    return vertical, horizontal  # type: ignore[return-value]


def _checked_padding(owner: Any, padding: Any, rank: int) -> Any:
    if isinstance(padding, str):
        known = ("same", "valid", *["circular"] * hasattr(owner, "true_convolution"))
        if padding not in known:
            names = '", "'.join(known)
            raise ConfigError(f'{type(owner).__name__}.padding may be "{names}" or numbers, not {padding!r}.')
        return padding
    if isinstance(padding, (tuple, list)):
        if len(padding) != 2:
            raise ConfigError(f"{type(owner).__name__}.padding wants one number or two, not {padding!r}.")
        return tuple(
            _checked_padding(owner, part, 1)
            if isinstance(part, (tuple, list)) and rank == 2
            else whole(owner, "padding", part, least=0)
            for part in padding
        )
    return whole(owner, "padding", padding, least=0)
