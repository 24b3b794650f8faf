"""All studies by name. A module adds its own by a tuple `STUDIES` and a line here."""

from __future__ import annotations

from denpa.core.errors import ConfigError, nearest
from denpa.lab.studies import (
    activations,
    adaptive,
    by_hand,
    chain,
    classifiers,
    contrasts,
    convolutions,
    convolving,
    counts,
    decay,
    expectations,
    fields,
    forward_in_time,
    gates,
    gradient_checks,
    halting,
    letter_gradients,
    letters,
    linear,
    overfitting,
    patches,
    pieces,
    poolings,
    races,
    rates,
    recurrences,
    remembering,
    sentences,
    shifts,
    signals,
    sparse,
    standardised,
    starts,
    subnetworks,
    surfaces_many,
    surfaces_slow,
    surfaces_steep,
    transfers,
    unpoolings,
    worksheets,
)
from denpa.lab.studies.study import Study

__all__ = ["STUDIES", "chosen", "find"]

_MODULES = (
    *(activations, gates, by_hand, counts),
    *(gradient_checks, chain, letters, letter_gradients, worksheets),
    *(starts, pieces, signals, rates, races, adaptive, standardised),
    *(surfaces_slow, surfaces_steep, surfaces_many),
    *(overfitting, halting, decay, subnetworks),
    *(convolving, patches, poolings, unpoolings, shifts, fields, contrasts, convolutions, transfers),
    *(recurrences, remembering, forward_in_time, sentences),
    *(sparse, linear, expectations, classifiers),
)

STUDIES: dict[str, Study] = {study.name: study for module in _MODULES for study in module.STUDIES}


def find(name: str) -> Study:
    """The study of this name.

    Raises:
        ConfigError: there is none; the nearest is named.
    """
    if name not in STUDIES:
        raise ConfigError(f"Unknown study {name!r}: {nearest(name, STUDIES, plural='studies')}")
    return STUDIES[name]


def chosen(names: tuple[str, ...]) -> tuple[Study, ...]:
    """The studies of these names, each once; all of them for "all".

    Raises:
        ConfigError: no name, or an unknown one.
    """
    if not names:
        raise ConfigError("Which study? Give one or more names of denpa lab list, or 'all'.")
    found = tuple(find(name) for name in dict.fromkeys(names) if name != "all")
    return tuple(STUDIES.values()) if "all" in names else found
