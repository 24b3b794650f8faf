"""PyTorch, with a loop written by hand for speed.

The data are float32 tensors in memory, and batches are slices: a `DataLoader` collates example by example and is
several times slower. Where two ways are open (Adam in one kernel or not, rows gathered by batch or by epoch),
the one that a short trial finds faster is taken. Gradients are set to None, and the loss is read once an epoch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from peers.base import Peer

__all__ = ["Compiled", "Eager"]

_TRIAL_STEPS = 50


class Eager(Peer):
    """Operation by operation."""

    def prepare(self) -> None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.data = torch.from_numpy(self.floats()), torch.from_numpy(self.t).long()
        self.net = self._network()
        self.objective = self._compiled(lambda x, t: nn.functional.cross_entropy(self.net(x), t))
        self._choose()

    def _compiled(self, objective: Callable[..., Any]) -> Callable[..., Any]:
        return objective

    def _network(self) -> nn.Module:
        layers: list[nn.Module] = []
        activation = nn.Sigmoid if self.work.activation == "sigmoid" else nn.ReLU
        for rows, columns in self.work.shapes:
            norm = [nn.BatchNorm1d(columns)] if self.work.batch_norm else []
            layers += [nn.Linear(rows, columns), *norm, activation()]
        return nn.Sequential(*layers[: -1 - self.work.batch_norm])

    def _choose(self) -> None:
        def trial(steps: int, **chosen: Any) -> Callable[[], None]:
            def run() -> None:
                vars(self).update(chosen)
                self.reset(0)
                self._epoch(steps)

            return run

        self.gather = "batch"
        self.fused = self.fastest({fused: trial(_TRIAL_STEPS, fused=fused) for fused in (True, False)})
        # Whole epochs, for what is gathered by epoch costs fresh memory in proportion.
        steps = self.work.examples // self.work.batch
        self.gather = self.fastest({gather: trial(steps, gather=gather) for gather in ("batch", "epoch")}, rounds=2)
        self.choices = f"Adam(fused={self.fused}), rows gathered by {self.gather}"

    def reset(self, seed: int) -> None:
        torch.manual_seed(seed)
        with torch.no_grad():
            for module in self.net:
                if isinstance(module, nn.BatchNorm1d):
                    module.reset_running_stats()
                    module.reset_parameters()
            dense = [module for module in self.net if isinstance(module, nn.Linear)]
            for module, (W, b) in zip(dense, self.pairs, strict=True):
                module.weight.copy_(torch.from_numpy(W.T))
                module.bias.copy_(torch.from_numpy(b))
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=self.fused)
        self.optimizer.zero_grad(set_to_none=True)

    def train(self, epochs: int) -> list[float]:
        return [self._epoch(self.work.examples // self.work.batch) for _ in range(epochs)]

    def _epoch(self, steps: int) -> float:
        total = torch.zeros(())
        for x, t in self._batches(steps):
            loss = self.objective(x, t)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            total += loss.detach()
        return total.item() / steps

    def _batches(self, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        (x, t), size = self.data, self.work.batch
        order = torch.randperm(len(x))[: steps * size]
        if self.gather == "epoch":
            yield from zip(x[order].split(size), t[order].split(size), strict=True)
        else:
            for rows in order.split(size):
                yield x[rows], t[rows]


class Compiled(Eager):
    """Network and loss, forward and backward, through `torch.compile`; the update is Adam's own kernel."""

    def _compiled(self, objective: Callable[..., Any]) -> Callable[..., Any]:
        return torch.compile(objective, dynamic=False)
