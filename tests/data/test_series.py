from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa.core.errors import ConfigError, DataError
from denpa.data import datasets
from denpa.data.readers import read_table
from denpa.data.series import next_value_rows, series_parts, values_of_table
from denpa.data.splitting import in_order


def test_each_target_is_the_value_that_follows():
    values = np.stack([np.arange(10.0), 100 + np.arange(10.0)], axis=1)
    x, t = next_value_rows(values, 3)
    np.testing.assert_array_equal(x[1], [[3, 103], [4, 104], [5, 105]])
    np.testing.assert_array_equal(t[..., 0], [[101, 102, 103], [104, 105, 106], [107, 108, 109]])
    with pytest.raises(DataError, match="10 steps, but one row takes 10 and one more"):
        next_value_rows(values, 10)
    with pytest.raises(ConfigError, match="1 or more, not True"):
        next_value_rows(values, True)


def test_parts_follow_each_other_in_time():
    values = np.arange(100.0)[:, None]
    train, validation, test = series_parts(values, ("y",), "numbers", 5, 0.2, 0.25)
    assert validation is not None
    assert test is not None
    assert (len(train), len(validation), len(test)) == (11, 3, 3)
    assert (validation.x[0, 0, 0], test.x[0, 0, 0]) == (60, 80)
    assert series_parts(values, ("y",), "numbers")[0].x.shape == (4, 19, 1)  # rows fit the shortest part
    assert series_parts(np.arange(2000.0)[:, None], ("y",), "numbers")[0].x.shape == (7, 200, 1)
    assert [part.stop - part.start for part in in_order(10, 0, 0)] == [10, 0, 0]
    with pytest.raises(ConfigError, match="from 0 to below 1"):
        in_order(10, 1.0, 0)
    with pytest.raises(DataError, match="too short"):
        series_parts(values[:6], ("y",), "numbers")


@given(st.integers(0, 300), st.floats(0, 0.99), st.floats(0, 0.99))
def test_parts_in_order_are_rounded_and_leave_nothing_out(n, test, validation):
    parts = in_order(n, test, validation)
    assert [part.start for part in parts] == [0, parts[0].stop, parts[1].stop]
    train, held_out, tested = (part.stop - part.start for part in parts)
    assert tested == round(test * n)
    assert held_out == round(validation * (n - tested))
    assert train == n - tested - held_out


def test_a_table_in_time_has_its_target_last(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text("price,volume\n1,5\n2,7.5\n4,6\n")
    values, names = values_of_table(read_table(path, "price", task="regression"))
    assert names == ("volume", "price")
    np.testing.assert_array_equal(values, [[5, 1], [7.5, 2], [6, 4]])
    path.write_text("price,day\n1,mon\n2,tue\n4,mon\n")
    with pytest.raises(DataError, match=r"column 'day' holds no numbers but such as 'mon'.*--ignore"):
        values_of_table(read_table(path, "price", task="regression"))
    path.write_text("price,volume\n1,5\n2,\n4,6\n")
    with pytest.raises(DataError, match=r"'volume' is missing on line 3.*no gaps"):
        values_of_table(read_table(path, "price", task="regression", missing="keep"))


def test_the_sine_wave_is_a_sine_and_noise():
    train, test = datasets.load("sine-wave", n=1000, period=25, noise=0.0, length=50)
    assert (train.x.shape, test.t.shape) == ((15, 50, 1), (3, 50, 1))
    np.testing.assert_allclose(train.x[0, :, 0], np.sin(2 * np.pi * np.arange(50) / 25), atol=1e-6)
    noisy = datasets.load("sine-wave", n=1000, period=25, noise=0.5, length=50).train
    assert np.std(noisy.x - train.x) == pytest.approx(0.5, rel=0.1)
    for options, words in (({"n": 1}, "n must be"), ({"period": 0}, "above 0"), ({"noise": -1}, "noise must be")):
        with pytest.raises(ConfigError, match=words):
            datasets.load("sine-wave", **options)
