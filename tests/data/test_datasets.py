from __future__ import annotations

import numpy as np
import pytest

from denpa.core.errors import ConfigError
from denpa.data import datasets
from denpa.data.checks import check_data
from denpa.data.dataset import Dataset
from denpa.data.labels import one_hot

DRAWN = ["letters", "xor", "moons", "spirals", "sine"]
TEXTS = ["shakespeare", "scene", "sine-wave", "addition", "dates", "enja", "opinions"]


def test_every_set_is_listed_with_a_line():
    assert sorted(datasets.names()) == sorted([*DRAWN, *TEXTS, "digits", "gate", "linear", "mnist", "noisy-digits"])
    assert all(line and "\n" not in line for line in datasets.names().values())


def test_unknown_names_and_options_get_the_nearest():
    with pytest.raises(ConfigError, match="Unknown data set 'minst': did you mean 'mnist'"):
        datasets.load("minst")
    with pytest.raises(ConfigError, match="'moons' has no option 'nois': did you mean 'noise'"):
        datasets.load("moons", nois=0.2)


def test_digits_are_the_published_ones_in_a_fixed_split():
    train, test = datasets.load("digits")
    assert (train.x.shape, test.x.shape) == ((1438, 8, 8, 1), (359, 8, 8, 1))
    assert (train.x.dtype, train.t.dtype) == (np.uint8, np.int32)
    assert train.x.max() == 16
    both = np.bincount(train.t) + np.bincount(test.t)
    assert both.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert test.content_hash() == "f6e2c7f16cad802fb6c78e0ca99ad8fee47b6013042a5b0d2664ba97d788f12e"
    assert train.content_hash() == TRAIN_HASH
    images = {image.tobytes() for image in train.x}
    assert not images & {image.tobytes() for image in test.x}


TRAIN_HASH = "1ca09c084f49b6815601316d74ac3e07177a2ae2064008a38800dd3aebcd1e4e"


def test_flat_digits_hold_the_same_pixels_row_by_row():
    plain, flat = datasets.load("digits").test, datasets.load("digits", flat=True).test
    assert flat.x.shape == (359, 64)
    np.testing.assert_array_equal(flat.x[:, 8 * 3 + 5], plain.x[:, 3, 5, 0])


@pytest.mark.parametrize("name", DRAWN)
def test_a_seed_fixes_a_drawn_set_and_the_global_generator_is_left_alone(name):
    options = {"copies": 9} if name == "letters" else {"n": 18}
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    one = datasets.load(name, noise=0.3, seed=4, **options)
    assert isinstance(one, Dataset)
    assert one.content_hash() == datasets.load(name, noise=0.3, seed=4, **options).content_hash()
    assert one.content_hash() != datasets.load(name, noise=0.3, seed=5, **options).content_hash()
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert len(one) == 18
    assert one.name == name
    check_data(one.x, one.t, task=one.task)


def test_letters_are_c_and_t():
    x, t = datasets.load("letters")
    assert x.dtype == np.uint8
    assert (x[0, ..., 0] // 255).tolist() == [[0, 1, 1], [1, 0, 0], [1, 0, 0], [0, 1, 1]]
    assert (x[1, ..., 0] // 255).tolist() == [[1, 1, 1], [0, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert one_hot(t, 2).tolist() == [[1, 0], [0, 1]]
    flat = datasets.load("letters", scaled=True, flat=True).x
    assert flat.dtype == np.float32
    assert flat[0].tolist() == [0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1]


def test_letters_with_noise_stay_in_range_and_near_the_letter():
    x, t = datasets.load("letters", copies=400, noise=0.1, seed=1)
    assert len(x) == 800
    clean = datasets.load("letters").x.astype(float)
    error = x - clean[t]
    inside = error[(x > 0) & (x < 255)]
    assert 20 < np.sqrt(np.mean(inside**2)) < 30  # 0.1 * 255
    assert x.min() == 0
    assert x.max() == 255


def test_shifted_letters_move_whole_rows_and_columns():
    x, t = datasets.load("letters", copies=100, shift=1, seed=1)
    clean = datasets.load("letters").x[..., 0]
    seen = set()
    for image, label in zip(x[..., 0], t, strict=True):
        wide = np.pad(clean[label], 1)
        moves = [(i, j) for i in range(3) for j in range(3) if np.array_equal(wide[i : i + 4, j : j + 3], image)]
        assert moves
        seen.add(moves[0])
    assert len(seen) == 9
    assert datasets.load("letters", shift=9, copies=50).x.shape == (100, 4, 3, 1)


def test_xor_is_the_truth_table():
    x, t = datasets.load("xor")
    assert x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert t.tolist() == [0, 1, 1, 0]
    x, t = datasets.load("xor", n=1000, noise=0.1)
    np.testing.assert_array_equal(t, np.rint(x[:, 0]).astype(int) ^ np.rint(x[:, 1]).astype(int))


def test_moons_lie_on_two_half_circles():
    x, t = datasets.load("moons", n=101, noise=0)
    assert np.bincount(t).tolist() == [51, 50]
    upper, lower = x[t == 0], x[t == 1]
    np.testing.assert_allclose((upper**2).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(((lower - [1, 0.5]) ** 2).sum(axis=1), 1, rtol=1e-5)
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 0.5


def test_spirals_turn_with_the_radius():
    x, t = datasets.load("spirals", n=90, noise=0, classes=3, turns=2)
    radius, angle = np.hypot(*x.T), np.arctan2(x[:, 1], x[:, 0])
    difference = angle - 2 * np.pi * (2 * radius + t / 3)
    np.testing.assert_allclose(np.cos(difference), 1, atol=1e-4)
    assert np.bincount(t).tolist() == [30, 30, 30]
    assert radius.max() <= 1


def test_sine_has_the_noise_that_was_asked_for():
    x, t = datasets.load("sine", n=2000, noise=0.2)
    assert x.shape == t.shape == (2000, 1)
    rest = t - np.sin(2 * np.pi * x)
    assert abs(rest.std() - 0.2) < 0.02
    assert 0 <= x.min() < 0.01 < 0.99 < x.max() <= 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("xor", {"n": 0}),
        ("moons", {"noise": -0.1}),
        ("moons", {"noise": float("nan")}),
        ("sine", {"n": 2.5}),
        ("sine", {"seed": -1}),
        ("opinions", {"seed": -1}),
        ("opinions", {"seed": "a"}),
        ("addition", {"seed": 1.5}),
        ("noisy-digits", {"seed": -1}),
        ("noisy-digits", {"noise": "a"}),
        ("spirals", {"classes": 1}),
        ("letters", {"copies": True}),
        ("letters", {"shift": -1}),
    ],
)
def test_impossible_options_are_refused(name, options):
    with pytest.raises(ConfigError, match=f"{next(iter(options))} must be"):
        datasets.load(name, **options)


def test_noisy_digits_have_the_clean_ones_as_targets():
    train, test = datasets.load("noisy-digits", noise=0.1, seed=3)
    clean = datasets.load("digits")
    np.testing.assert_array_equal(test.t, clean.test.x)
    assert train.x.min() == 0
    assert train.x.max() == 16
    middle = (clean.train.x > 6) & (clean.train.x < 10)  # seldom cut
    assert abs(np.std((train.x - clean.train.x)[middle]) - 1.6) < 0.05
    assert not np.array_equal(train.x, datasets.load("noisy-digits", seed=4).train.x)
    with pytest.raises(ConfigError, match="noise must be a number, 0 or more, not -1"):
        datasets.load("noisy-digits", noise=-1)


@pytest.mark.parametrize(
    ("gate", "rule"),
    [
        ("and", lambda a, b: a and b),
        ("or", lambda a, b: a or b),
        ("nand", lambda a, b: not (a and b)),
        ("nor", lambda a, b: not (a or b)),
        ("xor", lambda a, b: a != b),
    ],
)
def test_a_gate_is_its_truth_table(gate, rule):
    x, t = datasets.load("gate", gate=gate, n=6)
    assert [bool(rule(a, b)) for a, b in x] == t.astype(bool).tolist()
    assert x[:4].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    with pytest.raises(ConfigError, match="did you mean 'nand'"):
        datasets.load("gate", gate="nandd")
