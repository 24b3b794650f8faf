"""Presets from one sequence to another: sums, dates, translations."""

from __future__ import annotations

from typing import Any

from denpa.core.errors import ConfigError
from denpa.lab.experiment import DataConfig, Experiment, TrainingConfig
from denpa.lab.presets.blueprint import Options, Preset, cosine, fitting, refuse
from denpa.lab.sources import Look
from denpa.layers import AdditiveAttention, Dense, DotAttention, Dropout, Embedding
from denpa.losses import SoftmaxCrossEntropy
from denpa.metrics import Accuracy, ExactMatch, Perplexity
from denpa.networks import LSTM, Bidirectional, EncoderDecoder
from denpa.optim import Adam, ClipByNorm, chain

__all__ = ["PRESETS"]


def addition_seq2seq(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Works out sums written as text, 57+10 -> 67: LSTM of 128 units, reversed source, peeky decoder."""
    units = _units(name, options, 128)
    network = EncoderDecoder(
        (Embedding(look.words, 16), LSTM(units)),
        (Embedding(look.outputs, 16), LSTM(units), Dense(look.outputs)),
        peeky=True,
    )
    return _experiment(name, options, look, data, network, epochs=10, rate=3e-3)


def date_attention(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Writes dates of many forms as 1994-09-27: LSTM of 64 units with attention, which shows where it looks."""
    units = _units(name, options, 64)
    network = EncoderDecoder(
        (Embedding(look.words, 16), LSTM(units)),
        (Embedding(look.outputs, 16), LSTM(units), Dense(look.outputs)),
        attention=DotAttention(),
    )
    return _experiment(name, options, look, data, network, epochs=5, rate=5e-3)


def translate_enja(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Translates English to Japanese word by word, or your own: --data my.en --target my.ja; LSTM of 256, attention."""
    units = _units(name, options, 256)
    if units % 2:
        raise ConfigError(f"The encoder of {name!r} reads from both ends with half the units each: not {units}.")
    network = EncoderDecoder(
        (Embedding(look.words, 128), Dropout(0.2), Bidirectional(LSTM(units // 2))),
        (Embedding(look.outputs, 128), Dropout(0.2), LSTM(units), Dropout(0.2), Dense(look.outputs)),
        attention=AdditiveAttention(64),
    )
    metrics = (Accuracy(), Perplexity())
    return _experiment(name, options, look, data, network, epochs=8, rate=2e-3, batch=64, buckets=4, metrics=metrics)


def _units(name: str, options: Options, default: int) -> int:
    """Units of the recurrent layers."""
    refuse(name, options, activation="activations")
    if options.hidden is None:
        return default
    if len(options.hidden) != 1:
        raise ConfigError(f"{name!r} has one recurrent layer on each side: --hidden {default}, not {options.hidden}.")
    return options.hidden[0]


def _experiment(
    name: str,
    options: Options,
    look: Look,
    data: DataConfig,
    network: EncoderDecoder,
    *,
    epochs: int,
    rate: float,
    batch: int = 128,
    buckets: int | None = None,
    metrics: tuple[Any, ...] = (ExactMatch(),),
) -> Experiment:
    training = options.training(TrainingConfig(epochs=epochs, batch_size=fitting(batch, look), buckets=buckets))
    return Experiment(
        network=network,
        loss=SoftmaxCrossEntropy(),
        data=data,
        optimizer=chain(ClipByNorm(5.0), Adam(cosine(options.learning_rate or rate, training, look))),
        metrics=metrics,
        training=training,
        name=name,
    )


PRESETS: dict[str, Preset] = {
    "addition-seq2seq": Preset(
        addition_seq2seq, DataConfig("addition", task="pairs", options={"reverse": True}), "pairs"
    ),
    "date-attention": Preset(date_attention, DataConfig("dates", task="pairs"), "pairs"),
    "translate-enja": Preset(translate_enja, DataConfig("enja", task="pairs"), "pairs"),
}
