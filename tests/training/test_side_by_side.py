"""Members in groups: the numbers are those of one call, whatever the number of cores."""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import denpa as dp
from denpa.kernels import settings
from denpa.training import side_by_side
from denpa.training.compiled import SMALL
from denpa.training.side_by_side import SideBySide, groups_of


@pytest.fixture(params=[1, 2, 3])
def cores(request, monkeypatch):
    monkeypatch.setattr(side_by_side, "_cores", lambda: request.param)
    return request.param


@given(st.integers(1, 100), st.integers(1, 100))
def test_groups_hold_every_member_and_none_waits_for_a_larger_one(members, cores):
    groups = groups_of(members, cores)
    assert groups.number <= cores
    assert groups.size == -(-members // min(cores, members))
    held = [range(start, start + groups.size) for start in groups.starts]
    assert sorted({member for group in held for member in group}) == list(range(members))
    assert sum(map(len, held)) - groups.overlap == members
    assert groups.starts == sorted(set(groups.starts))


def scaled(numbers, common, given, count):
    """Results with the members in front and behind; `given` (steps, members) has them behind too."""
    return {"a": numbers["a"] * common * count.astype(jnp.float32), "key": numbers["key"]}, given + numbers["a"].sum(
        axis=1
    )


@pytest.mark.parametrize("members", [1, 2, 3, 5, 8])
def test_groups_come_to_what_one_call_comes_to(cores, members):
    rng = np.random.default_rng(members)
    numbers = {
        "a": jnp.asarray(rng.normal(size=(members, 2)).astype("f")),
        "key": jax.random.split(jax.random.key(1), members),
    }
    given, common = rng.normal(size=(3, members)).astype("f"), jnp.float32(2.0)
    program = jax.jit(scaled)
    side = SideBySide(program, in_axes=(0, None, 1, None), out_axes=(0, 1))
    for order in (given, jnp.asarray(given)):
        found, wanted = side(numbers, common, order, np.int32(3)), program(numbers, common, order, np.int32(3))
        for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            if jnp.issubdtype(ours.dtype, jax.dtypes.prng_key):
                ours, theirs = jax.random.key_data(ours), jax.random.key_data(theirs)
            np.testing.assert_array_equal(ours, theirs)


def test_threads_have_the_settings_of_who_calls(cores):
    seen = []

    def program(x):
        seen.append((settings.current(), jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision))
        return (jnp.ones(len(x)),)

    with jax.enable_x64(True), jax.default_matmul_precision("highest"), settings.using("direct"):
        (found,) = SideBySide(program, in_axes=(0,), out_axes=(0,))(jnp.zeros(6))
    assert found.dtype == np.float64
    assert set(seen) == {("direct", True, "highest")}
    assert len(seen) == cores


def test_an_error_comes_to_who_calls(cores):
    def program(x):
        if x[-1] == 5:
            raise dp.DivergenceError("member 5")
        return (x,)

    with pytest.raises(dp.DivergenceError, match="member 5"):
        SideBySide(program, in_axes=(0,), out_axes=(0,))(jnp.arange(6))


def test_large_members_stay_together(cores):
    calls = []

    def program(x):
        calls.append(len(x))
        return (x,)

    SideBySide(program, in_axes=(0,), out_axes=(0,))(jnp.zeros((6, SMALL)))
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
    monkeypatch.setattr(side_by_side, "_cores", lambda: 1)
    for ours, alone in zip(found.models, trained().models, strict=True):
        for a, b in zip(jax.tree.leaves(ours.variables), jax.tree.leaves(alone.variables), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours.history["loss"], alone.history["loss"], rtol=1e-5)


def test_a_thread_goes_on_when_the_main_thread_has_ended(tmp_path):
    program = tmp_path / "threads.py"
    program.write_text(
        """
import threading, time
import numpy as np
from denpa.training import side_by_side
side_by_side._cores = lambda: 2
side = side_by_side.SideBySide(lambda x: (x + 1,), in_axes=(0,), out_axes=(0,))

def later():
    threading.main_thread().join()
    print(np.asarray(side(np.zeros(4, np.float32))[0]))

threading.Thread(target=later).start()
"""
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout.strip(), done.returncode) == ("[1. 1. 1. 1.]", 0), done.stderr
