"""Schedules: their formulas, their ends, what their sums do, and what they refuse."""

from __future__ import annotations

import json
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa import optim
from denpa.core.description import from_config, registered, to_config
from denpa.core.errors import ConfigError
from denpa.optim import schedules as s

rates = st.floats(1e-6, 10.0)
lengths = st.integers(1, 5000)

# Each with its formula in NumPy for t = 0, 1, 2, ..., and whether both of Robbins and Monro's conditions hold.
FORMULAS = [
    (s.ConstantRate(0.3), lambda t: 0.3 + 0 * t, (True, False)),
    (s.LinearDecay(0.4, 0.1, 8), lambda t: np.where(t < 8, 0.4 - 0.3 * t / 8, 0.1), (True, False)),
    (s.LinearDecay(0.4, 0.0, 8), lambda t: np.maximum(0.4 - 0.05 * t, 0), (False, True)),
    (s.CosineDecay(0.4, 0.1, 8), lambda t: 0.25 + 0.15 * np.cos(np.pi * np.minimum(t / 8, 1)), (True, False)),
    (s.CosineDecay(0.4, 0.0, 8), lambda t: 0.2 + 0.2 * np.cos(np.pi * np.minimum(t / 8, 1)), (False, True)),
    (s.StepDecay(0.8, 0.5, 3), lambda t: 0.8 * 0.5 ** (t // 3), (False, True)),
    (s.StepDecay(0.8, 1.0, 3), lambda t: 0.8 + 0 * t, (True, False)),
    (s.ExponentialDecay(0.8, 0.5, 4), lambda t: 0.8 * 2.0 ** (-t / 4), (False, True)),
    (s.InverseTime(0.6), lambda t: 0.6 / (t + 1), (True, True)),
    (s.InverseTime(0.6, 5), lambda t: 3 / (5 + t), (True, True)),
    (s.WarmUp(0.4, 4), lambda t: np.where(t < 4, 0.1 * t, 0.4), (True, False)),
    (
        s.WarmUp(s.InverseTime(0.6), 4, start=0.2),
        lambda t: np.where(t < 4, 0.2 + 0.1 * t, 0.6 / (np.maximum(t - 4, 0) + 1)),
        (True, True),
    ),
]
IDS = [repr(schedule) for schedule, *_ in FORMULAS]


def test_the_table_holds_every_schedule():
    assert {type(schedule).__name__ for schedule, *_ in FORMULAS} == set(registered(s.Schedule)) & set(s.__all__)


@pytest.mark.parametrize(("schedule", "formula", "conditions"), FORMULAS, ids=IDS)
def test_formula(schedule, formula, conditions):
    t = np.arange(20)
    with jax.enable_x64(True):
        np.testing.assert_allclose(schedule(jnp.asarray(t, jnp.int32)), formula(t), rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(jax.jit(schedule)(t), formula(t), rtol=1e-6, atol=1e-7)
    assert float(schedule(3)) == pytest.approx(float(formula(np.array(3))), rel=1e-6)
    assert schedule(3).dtype == jnp.float32


@pytest.mark.parametrize(("schedule", "formula", "conditions"), FORMULAS, ids=IDS)
def test_conditions_of_robbins_and_monro(schedule, formula, conditions):
    """Told apart by the sums over two stretches, the second ten times as long as the first."""
    assert schedule.conditions() == conditions
    assert schedule.robbins_monro == all(conditions)
    near, far = formula(np.arange(1000, 10_000)), formula(np.arange(10_000, 100_000))
    assert (far.sum() >= 0.99 * near.sum() and far.sum() > 0) == conditions[0]
    assert ((far**2).sum() <= 0.2 * (near**2).sum()) == conditions[1]


@pytest.mark.parametrize("schedule", [schedule for schedule, *_ in FORMULAS], ids=IDS)
def test_survives_json_and_prints_as_code(schedule):
    assert from_config(json.loads(json.dumps(to_config(schedule))), s.Schedule) == schedule
    assert eval(repr(schedule), {"schedules": s}) == schedule


@given(initial=rates, final=rates, steps=lengths)
def test_linear_decay_runs_straight_from_end_to_end(initial, final, steps):
    """The ends are exact, the middle is the mean, and nothing lies outside."""
    with jax.enable_x64(True):
        decay = s.LinearDecay(initial, final, 2 * steps)
        values = np.asarray(decay(jnp.array([0, steps, 2 * steps, 2 * steps + 1, 10**6])))
    assert values[0] == initial
    assert values[1] == pytest.approx((initial + final) / 2, rel=1e-12)
    assert values[2] == values[3] == values[4] == final
    assert min(initial, final) * (1 - 1e-12) <= values.min() <= values.max() <= max(initial, final) * (1 + 1e-12)


@given(initial=rates, final=st.just(0.0) | rates, steps=lengths, kind=st.sampled_from([s.LinearDecay, s.CosineDecay]))
def test_decays_are_monotone(initial, final, steps, kind):
    with jax.enable_x64(True):
        values = np.asarray(kind(initial, final, steps)(jnp.arange(0, 6000, 37)))
    rises = np.diff(values) * np.sign(final - initial)
    assert np.all(rises >= -1e-15 * max(initial, final))


def test_a_step_decay_falls_at_the_step_that_it_names():
    """Compiled too, where XLA divides by multiplying: t/T may come out below the whole number that it is."""
    lengths = np.arange(1, 301)
    for times in (1, 2, 3):
        found = [jax.jit(s.StepDecay(1.0, 0.5, int(n)))(jnp.array([times * n - 1, times * n])) for n in lengths[::7]]
        np.testing.assert_array_equal(found, [[0.5 ** (times - 1), 0.5**times]] * len(found))


@given(rate=rates, steps=lengths)
def test_warm_up_climbs_to_its_schedule_and_follows_it(rate, steps):
    decay = s.ExponentialDecay(rate, 0.5, 10)
    t = np.array([0, steps // 2, steps - 1, steps, steps + 1, steps + 17])
    after = decay(np.maximum(t - steps, 0))
    np.testing.assert_allclose(s.WarmUp(decay, steps)(t), np.where(t < steps, rate * t / steps, after), rtol=1e-5)


@given(rate=rates, start=st.floats(0, 1000), steps=lengths)
def test_warm_up_ends_exactly_where_its_schedule_begins(rate, start, steps):
    assert float(s.WarmUp(rate, steps, start)(steps)) == float(s.ConstantRate(rate)(0))


def test_a_schedule_of_ones_own():
    @dataclass(frozen=True)
    class HalfAfter(s.Schedule):
        initial: float
        steps: int

        def __call__(self, step):
            return jnp.where(step < self.steps, self.initial, self.initial / 2)

    optimizer = optim.SGD(HalfAfter(0.4, 2))
    g = jnp.array([1.0])
    state, made = optimizer.init(g), []
    for _ in range(4):
        update, state = optimizer.update(g, state, g)
        made.append(float(update[0]))
    np.testing.assert_allclose(made, [-0.4, -0.4, -0.2, -0.2], rtol=1e-6)
    with pytest.raises(NotImplementedError, match=r"define conditions\(\)"):
        _ = HalfAfter(0.4, 2).robbins_monro


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: s.ConstantRate(0), r"ConstantRate.value must be positive, not 0.0"),
        (lambda: s.LinearDecay(-0.1, 0.0, 5), "LinearDecay.initial"),
        (lambda: s.LinearDecay(0.1, -0.1, 5), "LinearDecay.final must be 0 or more"),
        (lambda: s.LinearDecay(0.1, 0.01, 0), "LinearDecay.steps must be a positive whole number"),
        (lambda: s.StepDecay(0.1, 0.1, 2**31), "steps must be a positive whole number below 2.*31, not 2147483648"),
        (lambda: s.WarmUp(True, 5), "WarmUp.schedule must be a rate .* not True"),
        (lambda: s.CosineDecay(0.1, 0.01, 2.5), "CosineDecay.steps"),
        (lambda: s.CosineDecay(0.1, 0.01, True), "CosineDecay.steps"),
        (lambda: s.StepDecay(0.1, 10, 30), "to shrink to a tenth, give 0.1"),
        (lambda: s.ExponentialDecay(0.1, 0.0), "ExponentialDecay.factor"),
        (lambda: s.InverseTime("0.1"), "InverseTime.initial"),
        (lambda: s.WarmUp(-0.1, 5), "WarmUp.schedule"),
        (lambda: s.WarmUp(None, 5), r"WarmUp.schedule must be a rate .* or a schedule .*not None"),
        (lambda: s.WarmUp(s.CosineDecay, 5), "WarmUp.schedule must be a rate"),
        (lambda: s.WarmUp(0.1, 5, start=-1), "WarmUp.start"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_any_function_of_the_step_is_a_schedule():
    params, grads = {"W": jnp.array([1.0, -2.0, 3.0])}, {"W": jnp.array([0.3, -0.1, 0.7])}
    optimizer = optim.SGD(lambda step: 0.1 * 0.5 ** (jnp.asarray(step, jnp.float32) / 3))
    state = optimizer.init(params)
    for step in range(6):
        np.testing.assert_allclose(optimizer.rate(state), 0.1 * 0.5 ** (step / 3), rtol=1e-6)
        updates, state = optimizer.update(grads, state, params)
        np.testing.assert_allclose(updates["W"], -0.1 * 0.5 ** (step / 3) * grads["W"], rtol=1e-6)
    with pytest.raises(ConfigError, match="cannot be written"):
        to_config(optimizer)
