"""Presets of recurrent networks: language models of text, classes of texts, and time series."""

from __future__ import annotations

from typing import Any

from denpa.data.normalise import Standardize
from denpa.data.text import WINDOW
from denpa.init import Normal
from denpa.lab.experiment import DataConfig, Experiment, TrainingConfig
from denpa.lab.presets.blueprint import A_TABLE, Options, Preset, cosine, fitting, refuse, regression_metrics
from denpa.lab.sources import Look
from denpa.layers import Dense, Dropout, Embedding
from denpa.losses import MeanSquaredError, SoftmaxCrossEntropy
from denpa.metrics import Accuracy, Perplexity
from denpa.networks import GRU, LSTM, RNN, Bidirectional, Sequential
from denpa.optim import Adam, ClipByNorm, Transform, chain, schedules

__all__ = ["PRESETS"]

_EMBEDDING, _EMBEDDING_TO_CLASSIFY = 64, 32


def shakespeare_rnn(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Writes on like Shakespeare, or --data my.txt: an embedding of 64, a simple RNN of 256 units."""
    return _language_model(name, options, look, data, RNN, 1e-3)


def shakespeare_gru(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Writes on like Shakespeare, or --data my.txt: an embedding of 64, a GRU of 256 units."""
    return _language_model(name, options, look, data, GRU, 2e-3)


def shakespeare_lstm(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Writes on like Shakespeare, or --data my.txt: an embedding of 64, an LSTM of 256 units."""
    return _language_model(name, options, look, data, LSTM, 4e-3)


def text_classifier(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Tells the class of a text, such as the opinion of a review: embedding 32, a GRU of 32 units from each end."""
    # Small at the start: rare words, which learn little, are not to speak louder than others.
    words = Embedding(look.words, _EMBEDDING_TO_CLASSIFY, kernel_init=Normal(0.1))
    layers: list[Any] = [words, Dropout(0.3)]
    *below, last = _units(name, options, (32,))
    for units in below:
        layers += [Bidirectional(GRU(units, return_sequences=True)), Dropout(0.3)]
    batch = fitting(32, look) if options.batch_size is None else options.batch_size
    per_epoch = -(-look.examples // (look.examples if batch == "full" else int(batch)))
    epochs = min(max(-(-500 // per_epoch), 5), 25)
    training = options.training(TrainingConfig(epochs=epochs, batch_size=batch))
    return Experiment(
        network=Sequential((*layers, Bidirectional(GRU(last)), Dropout(0.3), Dense(look.outputs))),
        loss=SoftmaxCrossEntropy(),
        data=data,
        optimizer=chain(ClipByNorm(1.0), Adam(cosine(options.learning_rate or 4e-3, training, look))),
        metrics=(Accuracy(),),
        training=training,
        name=name,
    )


def sine_wave(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Predicts the next value of a noisy sine over time: an RNN of 16 units."""
    return _forecast(name, options, look, data, RNN, (16,))


def series(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Predicts the next value of a column of your own, row after row in time: an LSTM of 32 units."""
    return _forecast(name, options, look, data, LSTM, (32,))


def _language_model(name: str, options: Options, look: Look, data: DataConfig, cell: Any, rate: float) -> Experiment:
    """P(c_{t+1} | c_1 .. c_t) = softmax(W h_t + b), trained in windows of 64 tokens, the carry handed on."""
    layers: list[Any] = [Embedding(look.outputs, _EMBEDDING)]
    for units in _units(name, options, (256,)):
        layers += [cell(units, return_sequences=True), Dropout(0.25)]
    training, optimizer = _trained(options, look, rate, updates=3000, least=10)
    return Experiment(
        network=Sequential((*layers, Dense(look.outputs))),
        loss=SoftmaxCrossEntropy(),
        data=data,
        optimizer=optimizer,
        metrics=(Perplexity(),),
        training=training,
        name=name,
    )


def _forecast(
    name: str, options: Options, look: Look, data: DataConfig, cell: Any, default: tuple[int, ...]
) -> Experiment:
    layers: list[Any] = [cell(units, return_sequences=True) for units in _units(name, options, default)]
    training, optimizer = _trained(options, look, 1e-2, updates=500, least=20)
    return Experiment(
        network=Sequential((*layers, Dense(1))),
        loss=MeanSquaredError(half=False),
        data=data,
        optimizer=optimizer,
        metrics=regression_metrics(look),
        normalizer=Standardize(per="channel"),
        target_normalizer=Standardize(per="channel"),
        training=training,
        name=name,
    )


def _units(name: str, options: Options, default: tuple[int, ...]) -> tuple[int, ...]:
    refuse(name, options, activation="activations")
    return default if options.hidden is None else options.hidden


def _trained(options: Options, look: Look, rate: float, updates: int, least: int) -> tuple[TrainingConfig, Transform]:
    """Windows of 64 steps, one update each; clipped gradients, and a rate that falls along half a cosine.

    As many epochs as make `updates`, so that short sequences are read more often: from `least` to 100.
    """
    if options.rtrl:
        return _trained_in_real_time(options, look, rate)
    window = min(WINDOW, look.in_shape[0])
    windows = -(-look.in_shape[0] // window)
    batch = fitting(32, look) if options.batch_size is None else options.batch_size
    per_epoch = windows * -(-look.examples // (look.examples if batch == "full" else int(batch)))
    epochs = min(max(-(-updates // per_epoch), least), 100)
    training = options.training(TrainingConfig(epochs=epochs, batch_size=batch, window=window))
    rate = options.learning_rate or rate
    # Pascanu, Mikolov & Bengio (2013): the gradient of a recurrent network explodes now and then.
    decay = schedules.CosineDecay(rate, rate / 100, training.epochs * per_epoch)
    return training, chain(ClipByNorm(1.0), Adam(decay))


def _trained_in_real_time(options: Options, look: Look, rate: float) -> tuple[TrainingConfig, Transform]:
    """One update each step, so that few epochs are enough, and small ones."""
    per_epoch = look.examples * look.in_shape[0]
    training = options.training(TrainingConfig(epochs=min(max(-(-20_000 // per_epoch), 2), 100)))
    rate = options.learning_rate or rate / 10
    decay = schedules.CosineDecay(rate, rate / 100, training.epochs * per_epoch)
    return training, chain(ClipByNorm(1.0), Adam(decay))


PRESETS: dict[str, Preset] = {
    "shakespeare-lstm": Preset(shakespeare_lstm, DataConfig("shakespeare", task="text", validation=0.02), "text"),
    "shakespeare-gru": Preset(shakespeare_gru, DataConfig("shakespeare", task="text", validation=0.02), "text"),
    "shakespeare-rnn": Preset(shakespeare_rnn, DataConfig("shakespeare", task="text", validation=0.02), "text"),
    "text-classifier": Preset(
        text_classifier, DataConfig("opinions", task="text-classification"), "text-classification"
    ),
    "sine-wave": Preset(sine_wave, DataConfig("sine-wave", task="series", validation=0.1), "series"),
    "series": Preset(series, DataConfig("my.csv", task="series", validation=0.1), "series", A_TABLE),
}
