"""The contestants: denpa, and those it is compared with. Each module is imported in its own worker only."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

__all__ = ["PEERS", "PeerEntry"]


@dataclass(frozen=True)
class PeerEntry:
    """A contestant.

    Args:
        title: for people.
        family: the library; the better of its contestants counts.
        target: "module:class" for the worker.
        needs: modules that must be installed.
        works: names of the networks it takes part in; all where empty.
        why_not: why it takes no part in the others.
    """

    title: str
    family: str
    target: str
    needs: tuple[str, ...] = ()
    works: tuple[str, ...] = ()
    why_not: str = ""

    def missing(self) -> list[str]:
        """Modules that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


PEERS = {
    "denpa": PeerEntry("denpa, `Model.fit`", "denpa", "peers.denpa_fit:DenpaFit"),
    "torch": PeerEntry("PyTorch, eager", "PyTorch", "peers.pytorch:Eager", ("torch",)),
    "torch-compile": PeerEntry("PyTorch, `torch.compile`", "PyTorch", "peers.pytorch:Compiled", ("torch",)),
    "jax-step": PeerEntry("JAX + Optax, a jitted step", "JAX + Optax", "peers.plain_jax:JittedStep", ("optax",)),
    "jax-scan": PeerEntry("JAX + Optax, a scan an epoch", "JAX + Optax", "peers.plain_jax:ScannedEpoch", ("optax",)),
    "keras": PeerEntry("Keras on JAX, `Model.fit`", "Keras", "peers.keras_fit:KerasFit", ("keras",)),
    "sklearn": PeerEntry(
        "scikit-learn, `MLPClassifier.fit`", "scikit-learn", "peers.scikit:ScikitFit", ("sklearn",), ("mnist", "wide"),
        "it has no batch normalisation, and two classes get one output",
    ),
}  # fmt: skip
