"""Members in groups: the numbers are those of one call, whatever the number of cores."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import denpa as dp
from denpa.kernels import settings
from denpa.training import side_by_side
from denpa.training.kept import Kept
from denpa.training.program import Run
from denpa.training.side_by_side import SideBySide, groups_of


@pytest.fixture(params=[1, 2, 3])
def cores(request, monkeypatch):
    monkeypatch.setattr(side_by_side, "cores", lambda: request.param)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    return request.param


def run_of(params):
    """Stacked members with these parameters."""
    members = len(params)
    return Run(params, {}, (), jax.random.split(jax.random.key(1), members), jnp.zeros(members, jnp.int32))


@given(st.integers(1, 100), st.integers(1, 100))
def test_groups_hold_every_member_and_none_waits_for_a_larger_one(members, cores):
    groups = groups_of(members, cores)
    assert len(groups.starts) <= cores
    assert groups.size == -(-members // min(cores, members))
    held = [range(start, start + groups.size) for start in groups.starts]
    assert sorted({member for group in held for member in group}) == list(range(members))
    assert sum(map(len, held)) - groups.overlap == members
    assert groups.starts == sorted(set(groups.starts))


def scaled(run, common, given, count):
    """Results with the members in front and behind; `given` (steps, members) has them behind too."""
    return (run.params * common * count.astype(jnp.float32), run.key), given + run.params.sum(axis=1)


@pytest.mark.parametrize("members", [1, 2, 3, 5, 8])
def test_groups_come_to_what_one_call_comes_to(cores, members):
    rng, program, calls = np.random.default_rng(members), jax.jit(scaled), []

    def counted(*args):
        calls.append(len(args[0].step))
        return program(*args)

    run = run_of(jnp.asarray(rng.normal(size=(members, 2)).astype("f")))
    given, common = rng.normal(size=(3, members)).astype("f"), jnp.float32(2.0)
    side = SideBySide(counted, in_axes=(0, None, 1, None), out_axes=(0, 1))
    for order in (given, jnp.asarray(given)):
        found, wanted = side(run, common, order, np.int32(3)), program(run, common, order, np.int32(3))
        for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            if jnp.issubdtype(ours.dtype, jax.dtypes.prng_key):
                ours, theirs = jax.random.key_data(ours), jax.random.key_data(theirs)
            np.testing.assert_array_equal(ours, theirs)
    groups = groups_of(members, cores)
    assert calls == [groups.size] * len(groups.starts) * 2


def test_threads_have_the_settings_of_who_calls(cores):
    seen = []

    def program(run):
        seen.append((settings.current(), jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision))
        return (jnp.ones(len(run.step)),)

    with jax.enable_x64(True), jax.default_matmul_precision("highest"), settings.using("direct"):
        (found,) = SideBySide(program, in_axes=(0,), out_axes=(0,))(run_of(jnp.zeros(6)))
    assert found.dtype == np.float64
    assert set(seen) == {("direct", True, "highest")}
    assert len(seen) == cores


def test_a_program_that_several_threads_ask_for_is_traced_once(cores):
    traced = []

    def program(run):
        traced.append(1)
        return (run.params + 1,)

    side = SideBySide(Kept(jax.jit(program), "told"), in_axes=(0,), out_axes=(0,))
    np.testing.assert_array_equal(side(run_of(jnp.zeros(6)))[0], np.ones(6))
    assert len(traced) == 1


def test_an_error_comes_to_who_calls(cores):
    def program(run):
        if run.params[-1] == 5:
            raise dp.DivergenceError("member 5")
        return (run.params,)

    with pytest.raises(dp.DivergenceError, match="member 5"):
        SideBySide(program, in_axes=(0,), out_axes=(0,))(run_of(jnp.arange(6)))


@pytest.mark.parametrize("why", ["large products", "a GPU", "no compilation"])
def test_members_stay_together(cores, monkeypatch, why):
    calls = []

    def program(run):
        calls.append(len(run.step))
        return (run.params,)

    if why == "a GPU":
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    run = run_of(jnp.zeros((6, 1 << 17 if why == "large products" else 2)))
    with jax.disable_jit(why == "no compilation"):
        SideBySide(program, in_axes=(0,), out_axes=(0,))(run)
    assert calls == [6]


def test_members_come_out_the_same_on_any_number_of_cores(cores, monkeypatch):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(50, 4)).astype("f"), rng.integers(0, 3, 50)
    net = dp.Sequential([dp.Dense(5), dp.Tanh(), dp.Dropout(0.2), dp.Dense(3)])
    model = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.Adam(0.01))

    def trained():
        rates = {"optimizer.learning_rate": [0.01, 0.02, 0.1]}
        return dp.sweep(model, (x, t), rates, seeds=[0, 1], epochs=3, batch_size=16, verbose=False)

    found = trained()
    monkeypatch.setattr(side_by_side, "cores", lambda: 1)
    for ours, alone in zip(found.models, trained().models, strict=True):
        for a, b in zip(jax.tree.leaves(ours.variables), jax.tree.leaves(alone.variables), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours.history["loss"], alone.history["loss"], rtol=1e-5)
