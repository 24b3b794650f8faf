"""The data sets that come with denpa, by name: `load("digits")`; `names()` lists them.

`digits` and `mnist` have a fixed test part: `train, test = load("mnist")`; so have the texts, their end. Pairs of
sequences are texts: `sources, targets = load("dates", n=1000)`. The others are drawn from a rule, as many as asked
for: `x, t = load("moons", n=500)`; another seed gives an independent test set.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from importlib import resources
from typing import Any, Literal, overload

import numpy as np

from denpa.core.errors import ConfigError, nearest
from denpa.data import mnist, opinions, parallel, sequences, series, text, toys
from denpa.data.arguments import as_flag, as_number, as_whole
from denpa.data.dataset import Dataset, Splits
from denpa.data.pairs import Pairs, PairSplits

__all__ = ["load", "names"]


def digits(flat: bool = False) -> Splits:
    """1,438 training and 359 test images of handwritten digits: uint8 (n, 8, 8, 1), 0 paper to 16 ink.

    Always the same stratified split, 20 % for the test. The writers of both parts are the same 13 people.

    Args:
        flat: images as rows (n, 64).

    Source: Alpaydin & Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, doi 10.24432/C50P49, the file optdigits.tes. Licence CC BY 4.0.
    """
    with resources.files("denpa.data").joinpath("digits.npz").open("rb") as file, np.load(file) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    whole = Dataset(
        x=images.reshape(len(images), -1) if flat else images,
        t=labels.astype(np.int32),
        task="classification",
        class_names=tuple("0123456789"),
        name="digits",
        description="Handwritten digits, 8x8 pixels; Alpaydin & Kaynak (1998), doi 10.24432/C50P49.",
        licence="CC BY 4.0",
    )
    train, test = whole.split(0.2, seed=0)
    return Splits(replace(train, name="digits train"), replace(test, name="digits test"))


def noisy_digits(noise: float = 0.3, seed: int = 0) -> Splits:
    """The digits under noise as x, the clean ones as t: float32 and uint8 (n, 8, 8, 1), 0 paper to 16 ink.

    Args:
        noise: standard deviation of the Gaussian noise on each pixel, as a part of the full range 16; the result
            is cut to 0..16.
        seed: of the noise.
    """
    noise, rng = as_number(noise, "noise"), np.random.default_rng(as_whole(seed, "seed", 0))

    def noisy(part: Dataset) -> Dataset:
        x = np.clip(part.x + 16 * noise * rng.standard_normal(part.x.shape), 0, 16).astype(np.float32)
        return replace(part, x=x, t=part.x, task="regression", class_names=None, name=f"noisy {part.name}")

    train, test = digits()
    return Splits(noisy(train), noisy(test))


_LOADERS: dict[str, tuple[Any, str]] = {
    "digits": (digits, "1,797 handwritten digits, 8x8 pixels, embedded"),
    "noisy-digits": (noisy_digits, "the digits under noise, and the clean ones to be found: images to images"),
    "mnist": (mnist.load_mnist, "70,000 handwritten digits, 28x28 pixels, from DENPA_DATA or fetched"),
    "letters": (toys.letters, "the letters C and T on 4x3 pixels, noisy and shifted at will"),
    "xor": (toys.xor, "exclusive or: four corners, two classes"),
    "gate": (toys.gate, "a logic gate of two inputs: and, or, nand, nor, xor"),
    "moons": (toys.moons, "two interlocking half circles, two classes"),
    "spirals": (toys.spirals, "spiral arms around the origin, two classes or more"),
    "linear": (toys.linear, "a linear rule among features of no account: regression"),
    "sine": (toys.sine, "one period of a noisy sine: regression"),
    "shakespeare": (
        text.shakespeare,
        "1.1 million characters of plays, from DENPA_DATA or fetched: the next character",
    ),
    "scene": (text.scene, "17,000 characters of a play, embedded: the next character"),
    "sine-wave": (series.sine_wave, "a noisy sine over time: the next value"),
    "opinions": (opinions.opinions, "sentences that find something good or bad, and which of the two"),
    "addition": (sequences.addition, "sums of two numbers, written out, and their answers"),
    "dates": (sequences.dates, "dates in many forms, and in one"),
    "enja": (parallel.enja, "50,000 English sentences and their Japanese, from DENPA_DATA"),
}


def names() -> dict[str, str]:
    """Every data set's name with one line about it."""
    return {name: line for name, (_, line) in _LOADERS.items()}


@overload
def load(name: Literal["digits", "mnist", "noisy-digits"], **options: Any) -> Splits: ...
@overload
def load(name: Literal["letters", "xor", "gate", "moons", "spirals", "linear", "sine"], **options: Any) -> Dataset: ...
@overload
def load(name: Literal["shakespeare", "scene", "sine-wave"], **options: Any) -> Splits: ...
@overload
def load(name: Literal["addition", "dates", "opinions"], **options: Any) -> Pairs: ...
@overload
def load(name: Literal["enja"], **options: Any) -> PairSplits: ...
@overload
def load(name: str, **options: Any) -> Any: ...
def load(name: str, **options: Any) -> Any:
    """A data set by name.

    Args:
        name: one of `names()`.
        options: `flat` for images; `n`, `noise`, `seed` and others for the drawn sets; see docs/data.md.

    Returns:
        `Splits` for `digits`, `noisy-digits`, `mnist`, `shakespeare`, `scene` and `sine-wave`; `Pairs` of texts for
        `addition` and `dates`, of texts and classes for `opinions`, `PairSplits` for `enja`; a `Dataset` for the
        others.

    Raises:
        ConfigError: an unknown name or option (the nearest is given), or a value out of range.
        FileFormatError, DataError, StorageError: see `load_mnist`.
    """
    if not isinstance(name, str) or name not in _LOADERS:
        raise ConfigError(f"Unknown data set {name!r}: {nearest(str(name), _LOADERS, plural='data sets')}")
    loader = _LOADERS[name][0]
    known = inspect.signature(loader).parameters
    for option, value in options.items():
        if option not in known:
            raise ConfigError(f"{name!r} has no option {option!r}: {nearest(option, known, plural='options')}")
        if isinstance(known[option].default, bool):
            as_flag(value, option)
    return loader(**options)
