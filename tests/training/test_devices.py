"""Training over several devices: the numbers of one device, whatever the data look like, and the refusals."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.training.devices import everywhere
from denpa.training.program import Programs

RNG = np.random.default_rng(5)
IMAGES = RNG.standard_normal((43, 8, 8, 2), np.float32)
STEPS = RNG.standard_normal((43, 9, 3), np.float32)
LENGTHS = RNG.integers(2, 10, 43)
CLASSES = RNG.integers(0, 3, 43)
CLASSES_OF_STEPS = RNG.integers(0, 3, (43, 9))
WEIGHTS = RNG.random(43, np.float32)

DENSE = [dp.Flatten(), dp.Dense(8, use_bias=False), dp.BatchNorm(), dp.ReLU(), dp.Dropout(0.3), dp.Dense(3)]
CONVOLUTION = [dp.Conv2d(16, 3), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten(), dp.Dense(3)]
RECURRENT = [dp.LSTM(16, return_sequences=True), dp.Dense(3)]

CASES = {
    "dense, a smaller last batch, weights": (DENSE, (IMAGES, CLASSES, WEIGHTS), {"validation": 0.2}),
    "convolution, with replacement": (CONVOLUTION, (IMAGES, CLASSES), {"replacement": True}),
    "sequences of unlike length, in buckets": (
        RECURRENT,
        (dp.Padded(STEPS, LENGTHS), dp.Padded(CLASSES_OF_STEPS, LENGTHS)),
        {"buckets": 2},
    ),
    "windows of sequences": (RECURRENT, (STEPS, CLASSES_OF_STEPS), {"window": 4}),
}


def trained(layers, data, devices, epochs=2, optimizer=None, model=None, **options):
    loss, optimizer = dp.SoftmaxCrossEntropy(), optimizer or dp.Momentum(0.05)
    model = model or dp.Model(layers, loss, optimizer, metrics=[dp.Accuracy()], penalty=dp.L2(1e-3), seed=3)
    model.fit(data, epochs=epochs, batch_size=8, verbose=False, devices=devices, **options)
    return model


def same(ours, theirs, rtol=1e-4):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_numbers_are_those_of_one_device(case):
    layers, data, options = CASES[case]
    one, two = (trained(layers, data, devices, **options) for devices in (None, 2))
    same(two.variables, one.variables)
    for ours, theirs in zip(two.history.epochs, one.history.epochs, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert np.array_equal(two.predict_classes(data[0]), one.predict_classes(data[0]))


def test_each_device_computes_its_share():
    """In the compiled chunk of steps the outputs of a layer of 7 units are those of half a batch of 16."""
    model = dp.Model([dp.Dense(7)], dp.SoftmaxCrossEntropy(), dp.SGD(0.1), in_shape=(5,))
    data = np.ones((20, 5), np.float32), np.zeros(20, np.int32), None
    order, count = np.zeros((4, 16), np.int32), np.int32(4)
    for devices, rows, others in ((1, 16, 8), (2, 8, 16)):
        programs = Programs(dataclasses.replace(model.programs.recipe, devices=devices))
        given = everywhere((model.run, None, data), devices)
        text = jax.jit(programs._train).lower(*given, order, count).compile().as_text()
        assert f"f32[{rows},7]" in text
        assert f"f32[{others},7]" not in text
        assert ("all-reduce" in text) == (devices > 1)


def test_a_model_goes_on_with_another_number_of_devices():
    one = trained(DENSE, (IMAGES, CLASSES), None)
    two = trained(DENSE, (IMAGES, CLASSES), "all", epochs=1)
    trained(DENSE, (IMAGES, CLASSES), None, epochs=1, model=two)
    same(two.variables, one.variables)
    assert all(len(leaf.sharding.device_set) == 1 for leaf in jax.tree.leaves(two.variables))


def test_a_run_that_was_killed_ends_with_the_same_bits(tmp_path):
    data = IMAGES, CLASSES
    whole = trained(DENSE, data, 2, epochs=3)

    class Killed(Exception):
        pass

    def kill(training):
        if training.at.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        trained(DENSE, data, 2, epochs=3, callbacks=[dp.Checkpoint(str(tmp_path)), kill])
    with pytest.raises(dp.ConfigError, match="was trained with devices=2, not 1"):
        trained(DENSE, data, None, epochs=3, resume=tmp_path)
    again = trained(DENSE, data, 2, epochs=3, resume=tmp_path)
    for ours, theirs in zip(jax.tree.leaves(again.variables), jax.tree.leaves(whole.variables), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_diverging_run_keeps_its_last_good_state():
    model = dp.Model([dp.Flatten(), dp.Dense(3)], dp.MeanSquaredError(), dp.SGD(1e20), seed=1)
    with pytest.raises(dp.DivergenceError, match="is not finite"):
        model.fit((IMAGES, np.eye(3, dtype=np.float32)[CLASSES]), epochs=3, batch_size=8, verbose=False, devices=2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(model.variables))


@pytest.mark.parametrize(
    ("devices", "size", "message"),
    [
        (jax.local_device_count() + 1, 8, "jax.local_devices"),
        (0, 8, 'devices, if not "all", must be a whole number, 1 or more, not 0'),
        ("two", 8, "must be a whole number"),
        (2, 9, "A batch of 9 examples cannot be divided among 2 devices: take 8 or 10"),
        (2, 1, "take 2"),
    ],
)
def test_devices_that_there_are_not_and_batches_that_cannot_be_divided_are_refused(devices, size, message):
    model = dp.Model(DENSE, dp.SoftmaxCrossEntropy())
    with pytest.raises(dp.ConfigError, match=message):
        model.fit((IMAGES, CLASSES), batch_size=size, devices=devices, verbose=False)
    assert model.run is None
