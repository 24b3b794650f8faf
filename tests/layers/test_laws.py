"""Every layer that `denpa.layers` offers passes every law of the contract, in every mode it has."""

from __future__ import annotations

import dataclasses

import pytest

import denpa.layers
import denpa.networks
from denpa.core.description import registered
from denpa.core.fallback import uses_fallback
from denpa.core.layer import Layer
from denpa.layers import (
    ELU,
    ActivityL1,
    Add,
    AdditiveAttention,
    AveragePool2d,
    BatchNorm,
    Concatenate,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dense,
    DotAttention,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    GlobalAveragePool2d,
    Identity,
    KLSparsity,
    LeakyReLU,
    LocalContrastNorm,
    LocalResponseNorm,
    LpPool2d,
    Maxout,
    MaxPool2d,
    MaxUnpool2d,
    Part,
    PReLU,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    Step,
    Tanh,
    ThresholdDense,
    Unpool2d,
)
from denpa.networks import GRU, LSTM, Bidirectional, OutputFeedbackRNN
from denpa.testing import check_layer

# (layer, shape of one example). Almost always the same shape: compilation is what takes time.
CASES = [
    (ActivityL1(0.7), (2, 6)),
    (Add(), ((2, 6), (2, 6), (2, 6))),
    (AdditiveAttention(5), ((2, 6), (3, 4))),
    (BatchNorm(), (2, 6)),
    (BatchNorm(momentum=0.6, epsilon=0.01, unbiased=False), (2, 6)),
    (BatchNorm(center=False), (2, 6)),
    (BatchNorm(scale=False), (2, 6)),
    (BatchNorm(center=False, scale=False), (2, 6)),
    (Concatenate(), ((2, 6), (2, 3))),
    (Concatenate(axis=1), ((2, 6), (1, 6))),
    (Part(1), ((2, 6), (3,), (4,))),
    (AveragePool2d(), (4, 5, 2)),
    (AveragePool2d(3, 2, 1, count_padding=False), (4, 5, 2)),
    (Conv1d(4, 3, stride=2, padding="same", groups=2, use_bias=False, true_convolution=True), (6, 2)),
    (Conv2d(3, 2, untied_bias=True), (4, 5, 2)),
    (Conv2d(3, 2), (4, 5, 2)),
    (Conv2d(3, (3, 2), (2, 1), "circular"), (4, 5, 2)),
    (Conv2d(4, (3, 2), (2, 1), ((1, 0), (2, 1)), (1, 2), 2, true_convolution=True), (4, 5, 2)),
    (ConvTranspose2d(4, 3, stride=2, padding=1, output_padding=1, groups=2), (3, 4, 2)),
    (ConvTranspose2d(2, 3, output_padding=1, dilation=2), (4, 3, 2)),
    (ConvTranspose2d(1, 3, (1, 2), 1, (1, 2), (2, 3)), (4, 3, 1)),
    (ConvTranspose2d(3, (2, 3), stride=(2, 1), padding="same", use_bias=False), (3, 4, 2)),
    (Dense(3), (2, 6)),
    (Dense(3, use_bias=False), (2, 6)),
    (DotAttention(), ((2, 4), (3, 4))),
    (DotAttention("scaled"), ((2, 4), (3, 4))),
    (DotAttention("general"), ((2, 6), (3, 4))),
    (Dropout(0.4), (2, 6)),
    (Dropout(0.4, scaling="classical"), (2, 6)),
    (Dropout(0.4, per="batch"), (2, 6)),
    (Dropout(0.0), (2, 6)),
    (Dropout(1.0), (2, 6)),
    (ELU(), (2, 6)),
    (ELU(0.3), (2, 6)),
    (Embedding(5, 3), (4,)),
    (Embedding(5, 3, padding=2), (4,)),
    (Flatten(), (2, 6)),
    (GaussianNoise(0.5), (2, 6)),
    (GlobalAveragePool2d(), (4, 5, 2)),
    (LocalContrastNorm(3), (4, 5, 2)),
    (LocalContrastNorm(3, floor=0.8), (4, 5, 2)),
    (LocalContrastNorm(5, "subtractive", "uniform"), (4, 5, 2)),
    (LocalResponseNorm(), (2, 6)),
    (LocalResponseNorm(4, 0.3, 0.6, 1.5), (2, 6)),
    (LpPool2d(), (4, 5, 2)),
    (LpPool2d(1), (4, 5, 2)),
    (LpPool2d(3.5, 3, 2, 1), (4, 5, 2)),
    (MaxPool2d(), (4, 5, 2)),
    (MaxPool2d((3, 2), (2, 1), (1, 0)), (4, 5, 2)),
    (MaxPool2d(3, 2, "same"), (4, 5, 2)),
    (MaxUnpool2d(), ((2, 2, 2), (4, 5, 2))),
    (MaxUnpool2d(3, 2, 1), ((2, 3, 2), (4, 5, 2))),
    (Unpool2d(), (3, 4, 2)),
    (Unpool2d((2, 3), "top_left"), (3, 4, 2)),
    (Identity(), (2, 6)),
    (KLSparsity(0.2, 0.3), (2, 6)),
    (LeakyReLU(), (2, 6)),
    (LeakyReLU(-2.5), (2, 6)),
    (Maxout(3), (2, 6)),
    (Maxout(1), (2, 6)),
    (PReLU(), (2, 6)),
    (PReLU(shared=False), (2, 6)),
    (ReLU(), (2, 6)),
    (ReLU(derivative_at_zero=1), (2, 6)),
    (Reshape((-1, 4)), (2, 6)),
    (Sigmoid(), (2, 6)),
    (Softmax(), (2, 6)),
    (Step(), (2, 6)),
    (Tanh(), (2, 6)),
    (ThresholdDense(3), (2, 6)),
    # Networks, but leaves to the oracles. Every cell has its own tests, in test_recurrent_cells.py.
    (
        OutputFeedbackRNN(4, 3, teacher_forcing=True, takes_carry=True, return_carry=True, segment=2),
        ((5, 3), (5, 3), (3,), (4,)),
    ),
    (LSTM(4, True, return_sequences=True, return_carry=True, takes_carry=True), ((5, 3), (4,), (4,))),
    (Bidirectional(GRU(4, takes_carry=True, return_carry=True, return_sequences=True), "sum"), ((5, 3), (4,), (4,))),
]
# What standard normal inputs will not do for.
INPUTS = {
    Embedding: lambda rng, shape: rng.integers(0, 5, shape),
    KLSparsity: lambda rng, shape: rng.uniform(0.05, 0.95, shape),
}


@pytest.mark.parametrize(("layer", "in_shape"), CASES, ids=str)
def test_layer_keeps_the_laws(layer, in_shape):
    assert "autodiff, training" in check_layer(layer, in_shape, inputs=INPUTS.get(type(layer)))


@pytest.mark.parametrize("name", denpa.layers.__all__)
def test_every_layer_has_a_case(name):
    """A new layer is listed here, or is checked by a test file of its own that says so."""
    assert name in {type(layer).__name__ for layer, _ in CASES}


def ours():
    return [cls for cls in registered(Layer).values() if cls.__module__.startswith(("denpa.layers", "denpa.networks"))]


def test_every_layer_of_ours_is_listed():
    inside = {cls.__name__ for cls in ours() if cls.__module__.startswith("denpa.layers")}
    assert inside == set(denpa.layers.__all__)


def test_no_layer_of_ours_takes_its_backward_from_autodiff():
    assert len(ours()) > 15
    assert not [cls.__name__ for cls in ours() if uses_fallback(cls)]


def test_no_layer_of_ours_traces_forward_to_know_its_out_shape():
    assert not [cls.__name__ for cls in ours() if cls.out_shape is Layer.out_shape]


WITHOUT_ARGUMENTS = [
    cls
    for cls in (getattr(denpa.layers, name) for name in denpa.layers.__all__)
    if all(f.default is not f.default_factory for f in dataclasses.fields(cls))  # both are MISSING otherwise
]


@pytest.mark.parametrize("cls", WITHOUT_ARGUMENTS, ids=lambda cls: cls.__name__)
def test_layer_needs_no_argument(cls):
    layer, name = cls(), cls.__name__
    assert repr(layer) == f"{name}()"
