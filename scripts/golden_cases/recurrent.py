"""What PyTorch computes of recurrent layers."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from golden_cases.arrays import Case, Maker, assigned, leaf, normal, tensor

__all__ = ["makers"]


def makers() -> dict[str, Maker]:
    """What makes each case, by name."""
    return {
        "recurrent/rnn_tanh": lambda rng: _sequence(rng, nn.RNN(3, 4, batch_first=True), 1),
        "recurrent/rnn_relu": lambda rng: _sequence(rng, nn.RNN(3, 4, nonlinearity="relu", batch_first=True), 1),
        "recurrent/lstm": lambda rng: _sequence(rng, nn.LSTM(3, 4, batch_first=True), 4),
        "recurrent/gru": lambda rng: _sequence(rng, nn.GRU(3, 4, batch_first=True), 3),
        "recurrent/rnn_bare": lambda rng: _sequence(rng, nn.RNN(3, 4, bias=False, batch_first=True), 1),
        "recurrent/lstm_bare": lambda rng: _sequence(rng, nn.LSTM(3, 4, bias=False, batch_first=True), 4),
        "recurrent/gru_bare": lambda rng: _sequence(rng, nn.GRU(3, 4, bias=False, batch_first=True), 3),
        "weights/rnn_two_layers": lambda rng: _weights(rng, nn.RNN(3, 4, num_layers=2, bias=False, batch_first=True)),
        "weights/lstm_bidirectional": lambda rng: _weights(rng, nn.LSTM(3, 2, bidirectional=True, batch_first=True)),
        "weights/gru_two_layers_bidirectional": lambda rng: _weights(
            rng, nn.GRU(3, 2, num_layers=2, bidirectional=True, batch_first=True)
        ),
    }


def _weights(rng: np.random.Generator, rnn: nn.RNNBase) -> Case:
    """A recurrent module between an embedding and an affine layer, its arrays with PyTorch's names and layouts."""
    size = rnn.hidden_size * (2 if rnn.bidirectional else 1)
    net = nn.ModuleDict({"0": nn.Embedding(7, 3), "1": rnn, "2": nn.Linear(size, 2)}).double()
    state = {f"state/{name}": assigned(p, 0.7 * normal(rng, *p.shape)) for name, p in net.named_parameters()}
    x = rng.integers(0, 7, (2, 5))
    with torch.no_grad():
        y = net["2"](rnn(net["0"](torch.tensor(x)))[0])
    settings = {name: getattr(rnn, name) for name in ("mode", "num_layers", "bidirectional", "bias")}
    return {"settings": settings, "x": x, "y": y, **state}


def _sequence(rng: np.random.Generator, module: nn.RNNBase, gates: int) -> Case:
    module = module.double()
    # W_ih, W_hh, b_ih, b_hh, or the first two
    weights = [assigned(p, 0.7 * normal(rng, *p.shape)) for p in module.parameters()]
    names = ("h", "c") if module.mode == "LSTM" else ("h",)
    x, first = leaf(normal(rng, 2, 6, 3)), [leaf(normal(rng, 1, 2, 4)) for _ in names]
    y, final = module(x, tuple(first) if len(names) == 2 else first[0])
    final = final if isinstance(final, tuple) else (final,)
    dy, *dcarry = (tensor(normal(rng, *part.shape)) for part in (y, *final))
    torch.autograd.backward([y, *final], [dy, *dcarry])
    carries = {"carry": first, "final": final, "dcarry": dcarry, "dfirst": [part.grad for part in first]}
    return {
        "settings": {"module": module.mode, "input_size": 3, "hidden_size": 4}
        | ({} if module.bias else {"bias": False}),
        "x": x,
        "y": y,
        "dy": dy,
        "dx": x.grad,
        **{
            f"{what}/{name}": part[0]
            for what, parts in carries.items()
            for name, part in zip(names, parts, strict=True)
        },
        **_recurrent_arrays("params", weights, gates),
        **_recurrent_arrays("grads", [p.grad for p in module.parameters()], gates),
    }


def _recurrent_arrays(group: str, arrays: list[torch.Tensor], gates: int) -> Case:
    """In denpa's layout: a GRU's gates are z r n instead of r z n; one bias, and a second one where it differs."""
    order = [1, 0, 2] if gates == 3 else list(range(gates))
    Wx, Wh, *biases = (a.reshape(gates, -1, *a.shape[1:])[order].flatten(0, 1) for a in arrays)
    found = {"Wx": Wx.T, "Wh": Wh.T}
    if biases:
        b, bh = biases
        if gates == 3:
            found["bh"] = bh[-4:]
            bh = torch.cat([bh[:-4], torch.zeros(4)])
        found["b"] = b + bh if group == "params" else b
    return {f"{group}/{name}": array for name, array in found.items()}
