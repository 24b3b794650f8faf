"""The table of a network's layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax

from denpa.core import tree
from denpa.core.layer import Context, batch_of
from denpa.networks.base import Network

__all__ = ["Row", "Summary"]


@dataclass(frozen=True)
class Row:
    """One line of the table; sizes are for one example, and None where the input shape is unknown."""

    name: str
    layer: str
    out_shape: Any = None
    parameters: int | None = None
    saved_bytes: int | None = None


class Summary:
    """Name, layer, output shape, parameters and bytes saved for backward; prints as a table.

    The bytes are those of the arrays that training keeps for one example between forward and
    backward, each counted once even when two layers keep the same one.
    """

    def __init__(self, net: Network, in_shape: Any) -> None:
        self.in_shape = in_shape
        if in_shape is None:
            self.rows = [Row(name, repr(layer)) for name, layer in _leaves(net)]
        else:
            self.rows = _measured(net, in_shape)

    @property
    def parameters(self) -> int | None:
        """The number of learnable numbers; None without an input shape."""
        return None if self.in_shape is None else sum(row.parameters or 0 for row in self.rows)

    @property
    def saved_bytes(self) -> int | None:
        """Bytes saved for backward for one example; None without an input shape."""
        return None if self.in_shape is None else sum(row.saved_bytes or 0 for row in self.rows)

    def __str__(self) -> str:
        head = ("name", "layer", "output", "parameters", "saved for backward")
        known = self.in_shape is not None
        cells: list[tuple[str, ...]] = [head if known else head[:2]]
        for row in self.rows:
            sizes = (str(row.out_shape), f"{row.parameters:,}", _bytes(row.saved_bytes or 0)) if known else ()
            cells.append((row.name, row.layer, *sizes))
        layout = [f"{'<' if i < 3 else '>'}{max(len(row[i]) for row in cells)}" for i in range(len(cells[0]))]
        lines = ["  ".join(map(format, row, layout)).rstrip() for row in cells]
        rule = "─" * max(len(line) for line in lines)
        if self.in_shape is None:
            foot = "Sizes are known once the shape of one example is: summary((28, 28, 1))."
        else:
            foot = (
                f"input {self.in_shape}, {self.parameters:,} parameters, "
                f"{_bytes(self.saved_bytes or 0)} saved for backward per example"
            )
        return "\n".join([lines[0], rule, *lines[1:], rule, foot])

    __repr__ = __str__


def _leaves(net: Network, prefix: str = "") -> list[tuple[str, Any]]:
    """(path, layer) of everything inside that is not itself a network."""
    leaves = []
    for name, layer in net.inner():
        path = f"{prefix}{name}"
        leaves += _leaves(layer, f"{path}/") if isinstance(layer, Network) and layer.inner() else [(path, layer)]
    return leaves


def _measured(net: Network, in_shape: Any) -> list[Row]:
    # Two batches, for what is kept once for a whole batch is no cost of an example.
    smaller, larger = (_rows_for_batch(net, in_shape, size) for size in (2, 3))
    return [
        replace(row, saved_bytes=(more.saved_bytes or 0) - (row.saved_bytes or 0))
        for row, more in zip(smaller, larger, strict=True)
    ]


def _rows_for_batch(net: Network, in_shape: Any, size: int) -> list[Row]:
    """The rows with the bytes saved for a whole batch."""
    rows: list[Row] = []

    def run(x: Any) -> None:  # traced, never computed: only shapes are looked at
        params, state = net.init(jax.random.key(0), in_shape)
        ctx = Context(train=True, key=jax.random.key(0), state=state)
        _, _, met = net.walk_forward(params, x, ctx)
        counted = {id(leaf) for leaf in jax.tree.leaves(params)}
        for path, layer in _leaves(net):
            fresh = {id(leaf): leaf for leaf in jax.tree.leaves(met[path].saved) if id(leaf) not in counted}
            counted |= set(fresh)
            out_shape = jax.tree.map(lambda y: tuple(y.shape[1:]), met[path].y)
            saved = tree.nbytes([leaf for leaf in fresh.values() if hasattr(leaf, "dtype")])
            rows.append(Row(path, repr(layer), out_shape, tree.count(_at(params, path)), saved))

    jax.eval_shape(run, batch_of(in_shape, size, net.takes_integers))
    return rows


def _at(params: Any, path: str) -> Any:
    """The parameters that stand at a path; nothing for a vertex that shares another's."""
    for name in path.split("/"):
        params = params.get(name, {})
    return params


def _bytes(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 10_000:
            return f"{amount:,.0f} {unit}"
        amount /= 1024
    return f"{amount:,.1f} GiB"
