"""Programs of training and prediction for GPUs and TPUs, as far as a machine without one can tell."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.kernels import native

NETWORKS = {
    "dense": ([dp.Dense(8), dp.BatchNorm(), dp.ReLU(), dp.Dropout(0.3), dp.Dense(3)], (784,)),
    "fused": ([dp.Conv2d(16, 3), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten(), dp.Dense(3)], (8, 8, 1)),
    "winograd": ([dp.Conv2d(16, 3, padding="same"), dp.Tanh(), dp.GlobalAveragePool2d(), dp.Dense(3)], (8, 8, 16)),
    "groups": ([dp.Conv2d(8, 3, groups=2), dp.Flatten(), dp.Dense(3)], (9, 9, 4)),
    "transposed": ([dp.ConvTranspose2d(4, 3, stride=2), dp.MaxPool2d(3), dp.Flatten(), dp.Dense(3)], (5, 5, 2)),
    "rnn": ([dp.RNN(8), dp.Dense(3)], (6, 4)),
    "lstm": ([dp.Bidirectional(dp.LSTM(8)), dp.Dense(3)], (6, 4)),
    "gru": ([dp.GRU(8, return_sequences=True), dp.GRU(8), dp.Dense(3)], (6, 4)),
}
KERNELS = ("fused", "winograd", "groups", "rnn", "lstm", "gru")


@pytest.mark.parametrize("backend", ["cpu", "gpu"])  # that of the machine which compiles
@pytest.mark.parametrize("name", NETWORKS)
def test_the_programs_for_other_platforms_call_no_kernel_of_the_cpu(name, backend, monkeypatch):
    net, shape = NETWORKS[name]
    model = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.Adam(), in_shape=shape)
    x, t = np.zeros((4, *shape), np.float32), np.zeros(4, np.int32)
    programs, run = model.programs, model.programs.init(0, shape)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)

    def step(run, x, t):
        return programs.recipe.step(run, None, x, t, None), programs._predict(run.params, run.state, None, x)

    def calls(platform):
        return "@denpa" in jax.jit(step).trace(run, x, t).lower(lowering_platforms=(platform,)).as_text()

    if backend == "cpu" and name in KERNELS and native.available():
        assert calls("cpu")
    assert not calls("cuda")
    assert not calls("tpu")
