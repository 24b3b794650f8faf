"""The arguments that every benchmark takes."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.machine import ROOT, cores

__all__ = ["parser", "settle"]


def parser(doc: str, rounds: int) -> argparse.ArgumentParser:
    """An argument parser with the shared arguments; `rounds` is the number of a full run."""
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("--quick", action="store_true", help="a smoke run: little data, two rounds, no figure counts")
    made.add_argument("--rounds", type=int, help=f"turns of each contestant ({rounds})")
    made.add_argument("--threads", type=int, default=cores(), help="threads of each contestant (all cores)")
    made.add_argument("--out", type=Path, help="folder for the results (benchmarks/results; quick: build/benchmarks)")
    made.set_defaults(full_rounds=rounds)
    return made


def settle(options: argparse.Namespace) -> argparse.Namespace:
    """Fill in what depends on `--quick`."""
    full = vars(options).pop("full_rounds")
    options.rounds = options.rounds or (2 if options.quick else full)
    default = ROOT / "build" / "benchmarks" if options.quick else ROOT / "benchmarks" / "results"
    options.out = options.out or default
    return options
