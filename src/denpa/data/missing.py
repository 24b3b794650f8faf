"""Missing values in a table: nothing happens to them that was not asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from denpa.core.errors import ConfigError, DataError, nearest
from denpa.data.table import Column, Table

__all__ = ["POLICIES", "settle_missing"]

POLICIES = ("error", "drop", "mean", "median", "category", "keep")
_FILLS = {"numeric": ("mean", "median"), "categorical": ("category",)}


def settle_missing(table: Table, missing: str | Mapping[str, str]) -> Table:
    """The table without the rows to drop, each column marked with what will fill its gaps.

    Raises:
        DataError: missing values where "error" holds, where the fill does not fit the kind of column, or in
            the target; a column without any value; no row left. Columns and lines are named.
        ConfigError: an unknown way to treat them.
    """
    every = table.every
    if not isinstance(missing, (str, Mapping)):
        raise ConfigError(f"missing must be a way to treat missing values, or one by column, not {missing!r}.")
    chosen = dict.fromkeys((column.name for column in every), missing) if isinstance(missing, str) else missing
    policy = {column.name: chosen.get(column.name, "error") for column in every}
    for choice in policy.values():
        if choice not in POLICIES:
            hint = nearest(str(choice), POLICIES, plural="ways")
            raise ConfigError(f"Unknown way {choice!r} to treat missing values: {hint}")
    gaps = {column.name: column.is_missing() for column in every}
    for column in every:
        if policy[column.name] != "keep" and len(table) and gaps[column.name].all():
            raise DataError(
                f"{table.source}: column {column.name!r} has no values: leave it out by ignore=[{column.name!r}]."
            )
    dropped = np.any([gaps[name] for name in gaps if policy[name] == "drop"] or [np.zeros(len(table), bool)], axis=0)
    _refuse(table, every, policy, {name: mask & ~dropped for name, mask in gaps.items()})
    if dropped.all():
        raise DataError(f"{table.source}: every row has a missing value, so that missing='drop' leaves none.")

    def marked(column: Column) -> Column:
        fill = policy[column.name]
        fits = fill == "keep" or fill in _FILLS.get(column.kind, ())
        return dataclasses.replace(column[~dropped], missing=fill if fits else "error")

    return dataclasses.replace(
        table,
        columns=tuple(marked(column) for column in table.columns),
        target=None if table.target is None else table.target[~dropped],
        lines=table.lines[~dropped],
    )


def _refuse(table: Table, every: tuple[Column, ...], policy: dict[str, str], gaps: dict[str, np.ndarray]) -> None:
    faults, kinds = [], set()
    for column in every:
        choice, rows = policy[column.name], np.flatnonzero(gaps[column.name])
        role = "target" if column is table.target else column.kind
        if len(rows) and choice not in (*_FILLS.get(role, ()), "keep"):
            faults.append(f"{column.name!r} ({role}, {table.at(rows)})")
            kinds.add(role)
    if not faults:
        return
    ways = ["'drop' to leave these rows out"]
    ways += ["'mean' or 'median' to fill numbers"] * ("numeric" in kinds)
    ways += ["'category' to give missing texts a category of their own"] * ("categorical" in kinds)
    several = f"; by column: missing={{{faults[0].split(' (')[0]}: 'drop', ...}}"
    raise DataError(
        f"{table.source} has missing values in {len(faults)} column{'s' * (len(faults) > 1)}: {', '.join(faults)}. "
        f"Choose missing=... {', '.join(ways)}{several}."
    )
