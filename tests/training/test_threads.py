"""Programs of several threads: their results are those of one thread, in its order, under its settings."""

from __future__ import annotations

import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core.errors import DataError
from denpa.training import threads
from denpa.training.threads import in_threads, two_at_a_time


@pytest.fixture(params=[1, 2])
def cores(request, monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: request.param)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    return request.param


@pytest.mark.parametrize("batches", range(10))
def test_every_batch_comes_out_in_its_place(cores, batches):
    double = jax.jit(lambda a: 2 * a)
    found = two_at_a_time(double, [np.full(3, i, np.float32) for i in range(batches)])
    assert [a.tolist() for a in found] == [[2.0 * i] * 3 for i in range(batches)]


@pytest.mark.parametrize("wrong", range(6))
def test_what_is_wrong_with_one_batch_is_told(cores, wrong):
    def call(index):
        if index == wrong:
            raise DataError(f"batch {index}")
        return jnp.float32(index)

    with pytest.raises(DataError, match=f"batch {wrong}"):
        two_at_a_time(call, range(6))


def test_every_batch_is_computed_under_the_settings_of_who_asks(cores):
    third = jax.jit(lambda a: a / 3)
    with jax.enable_x64(True):
        found = two_at_a_time(third, [np.full(2, i, np.float64) for i in range(1, 6)])
    for i, a in enumerate(found, 1):
        assert a.dtype == np.float64
        np.testing.assert_allclose(a, i / 3, rtol=1e-15)
    assert not jax.config.values["jax_enable_x64"]


def test_a_model_predicts_and_measures_alike_one_batch_at_a_time_and_two(monkeypatch):
    rng = np.random.default_rng(0)
    net = dp.Sequential([dp.Conv2d(4, 3), dp.BatchNorm(), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten(), dp.Dense(3)])
    model = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.Adam(0.01), metrics=[dp.Accuracy()])
    x, t = rng.normal(size=(90, 9, 9, 2)).astype("f"), rng.integers(0, 3, 90)
    model.fit((x, t), epochs=1, batch_size=30, verbose=False)
    monkeypatch.setattr("denpa.training.preparation.size_of_batches", lambda *_: 8)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    found = {}
    for number in (1, 2):
        monkeypatch.setattr(threads, "cores", lambda number=number: number)
        outputs = [model.predict(x), model.predict_classes(x), model.predict_probabilities(x)]
        found[number] = [*outputs, *model.evaluate((x, t)).values()]
    for alone, both in zip(found[1], found[2], strict=True):
        np.testing.assert_array_equal(alone, both)


def test_a_thread_goes_on_when_the_main_thread_has_ended(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        """
import threading
from denpa.training.threads import in_threads

def later():
    threading.main_thread().join()
    print(in_threads(lambda x: x + 1, [1, 2]))

threading.Thread(target=later).start()
"""
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout.strip(), done.returncode) == ("[2, 3]", 0), done.stderr


def test_the_first_part_is_of_this_thread_and_all_results_are_finished():
    names = in_threads(lambda part: (part, threading.current_thread().name), ["a", "b", "c"])
    assert [part for part, _ in names] == ["a", "b", "c"]
    assert names[0][1] == threading.current_thread().name
    assert len({name for _, name in names}) == 3
