"""Small made data sets: images of two letters, and points in the plane or on a line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, nearest
from denpa.data.arguments import as_number, as_whole
from denpa.data.dataset import Dataset

__all__ = ["gate", "letters", "linear", "moons", "sine", "spirals", "xor"]

# t at the corners (0,0) (0,1) (1,0) (1,1)
_GATES = {"and": (0, 0, 0, 1), "or": (0, 1, 1, 1), "nand": (1, 1, 1, 0), "nor": (1, 0, 0, 0), "xor": (0, 1, 1, 0)}
_C = ((0, 1, 1), (1, 0, 0), (1, 0, 0), (0, 1, 1))
_T = ((1, 1, 1), (0, 1, 0), (0, 1, 0), (0, 1, 0))


def letters(
    copies: int = 1, noise: float = 0.0, shift: int = 0, scaled: bool = False, flat: bool = False, seed: int = 0
) -> Dataset:
    """Images of the letters C and T on 4 rows of 3 pixels: (2 copies, 4, 3, 1), C T C T ...; targets C 0, T 1.

    As one-hot rows the targets are C (1, 0) and T (0, 1). A pixel is 255 in a stroke and 0 outside.

    Args:
        copies: how many images of each letter.
        noise: standard deviation of the Gaussian noise on each pixel, as a part of the full range 255; the
            result is rounded and cut to 0..255.
        shift: each image is moved by up to this many pixels down or up and right or left, all moves equally
            likely; what leaves the frame is lost.
        scaled: float32 between 0 and 1 in place of uint8.
        flat: images as rows (n, 12), pixels numbered row by row.
        seed: of noise and shift.
    """
    copies = as_whole(copies, "copies", 1)
    shift = as_whole(shift, "shift", 0)
    rng = _generator(seed, noise)
    images = np.tile(np.array([_C, _T], np.float64), (copies, 1, 1))
    if shift:  # each image is a window of 4x3, placed at random, on a frame wide enough
        wide = np.pad(images, ((0, 0), (shift, shift), (shift, shift)))
        corners = rng.integers(0, 2 * shift + 1, (len(images), 2))
        images = np.stack([frame[i : i + 4, j : j + 3] for frame, (i, j) in zip(wide, corners, strict=True)])
    images = np.rint(np.clip(images + float(noise) * rng.standard_normal(images.shape), 0, 1) * 255).astype(np.uint8)
    x = images.reshape(len(images), -1) if flat else images[..., None]
    return Dataset(
        x=x.astype(np.float32) / np.float32(255) if scaled else x,
        t=np.tile(np.array([0, 1], np.int32), copies),
        task="classification",
        class_names=("C", "T"),
        name="letters",
        description="The letters C and T on 4x3 pixels.",
    )


def xor(n: int = 4, noise: float = 0.0, seed: int = 0) -> Dataset:
    """Exclusive or: x the corners (0,0) (0,1) (1,0) (1,1) in turn, t = 1 where the two differ, else 0.

    n points (n, 2), with Gaussian noise of standard deviation `noise` on each coordinate.
    """
    n = as_whole(n, "n", 1)
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], np.float64)
    points, t = np.resize(corners, (n, 2)), np.resize([0, 1, 1, 0], n)
    return _points("xor", points, t, noise, seed, "Exclusive or of two inputs.")


def gate(gate: str = "and", n: int = 4) -> Dataset:
    """A logic gate of two inputs: x the corners (0,0) (0,1) (1,0) (1,1) in turn, n of them, t what the gate says.

    Args:
        gate: "and", "or", "nand", "nor" or "xor".
        n: points (n, 2).
    """
    if not isinstance(gate, str) or gate not in _GATES:
        raise ConfigError(f"Unknown gate {gate!r}: {nearest(str(gate), _GATES, plural='gates')}")
    n = as_whole(n, "n", 1)
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], np.float64)
    return _points("gate", np.resize(corners, (n, 2)), np.resize(_GATES[gate], n), 0.0, 0, f"The gate {gate}.")


def moons(n: int = 200, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Two interlocking half circles: class 0 (cos a, sin a), class 1 (1 - cos a, 1/2 - sin a), 0 <= a <= pi.

    n points (n, 2), the classes by turns, a uniform at random; Gaussian noise of standard deviation `noise`.
    """
    n = as_whole(n, "n", 1)
    rng = _generator(seed, noise)
    t, angle = np.arange(n) % 2, rng.uniform(0, np.pi, n)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.where(t[:, None] == 0, upper, (1, 0.5) - upper)
    return _points("moons", points, t, noise, rng, "Two interlocking half circles.")


def spirals(n: int = 200, noise: float = 0.02, classes: int = 2, turns: float = 1.0, seed: int = 0) -> Dataset:
    """Spiral arms around the origin: arm k is r (cos a, sin a), a = 2 pi (turns r + k / classes), 0 <= r <= 1.

    n points (n, 2), the classes by turns, r uniform at random; Gaussian noise of standard deviation `noise`.

    Source: Lang & Witbrock (1988), "Learning to tell two spirals apart" (there with 3 turns).
    """
    n = as_whole(n, "n", 1)
    classes = as_whole(classes, "classes", 2)
    turns = as_number(turns, "turns", -math.inf)
    rng = _generator(seed, noise)
    t, radius = np.arange(n) % classes, rng.uniform(0, 1, n)
    angle = 2 * np.pi * (turns * radius + t / classes)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _points("spirals", points, t, noise, rng, f"{classes} spiral arms of {turns:g} turns.", classes)


def linear(n: int = 100, features: int = 10, informative: int = 3, noise: float = 0.5, seed: int = 0) -> Dataset:
    """A linear rule among features of no account: t = Σ_j w_j x_j + noise.     x (n, features), t (n, 1)

    x is drawn from N(0, 1); the first `informative` weights are 1, -1, 1, -1, ..., the others 0.

    Args:
        n: how many examples.
        features: columns of x.
        informative: how many of them t depends on.
        noise: standard deviation of the Gaussian noise on t.
        seed: of x and noise.
    """
    n = as_whole(n, "n", 1)
    features = as_whole(features, "features", 1)
    informative = as_whole(informative, "informative", 0)
    if informative > features:
        raise ConfigError(f"informative must be at most the {features} features, not {informative}.")
    rng = _generator(seed, noise)
    x = rng.standard_normal((n, features))
    t = x[:, :informative] @ (-1.0) ** np.arange(informative) + float(noise) * rng.standard_normal(n)
    return Dataset(
        x.astype(np.float32),
        t[:, None].astype(np.float32),
        "regression",
        feature_names=tuple(f"x{j}" for j in range(1, features + 1)),
        name="linear",
        description="A linear rule with Gaussian noise, among features of no account.",
    )


def sine(n: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Noisy sine, a regression: t = sin(2 pi x) + noise, x uniform in [0, 1].     x (n, 1), t (n, 1)

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", section 1.1 and appendix A.
    """
    n = as_whole(n, "n", 1)
    rng = _generator(seed, noise)
    x = rng.uniform(0, 1, (n, 1))
    t = np.sin(2 * np.pi * x) + float(noise) * rng.standard_normal((n, 1))
    description = "A sine over one period with Gaussian noise."
    return Dataset(x.astype(np.float32), t.astype(np.float32), "regression", name="sine", description=description)


def _points(
    name: str, points: np.ndarray, t: np.ndarray, noise: float, seed: Any, description: str, classes: int = 2
) -> Dataset:
    rng = seed if isinstance(seed, np.random.Generator) else _generator(seed, noise)
    points = points + float(noise) * rng.standard_normal(points.shape)
    names = tuple(str(k) for k in range(classes))
    return Dataset(
        points.astype(np.float32), t.astype(np.int32), "classification", names, ("x1", "x2"), name, description
    )


def _generator(seed: Any, noise: Any) -> np.random.Generator:
    as_whole(seed, "seed", 0)
    as_number(noise, "noise")
    return np.random.default_rng(seed)
