"""What `fit` takes, members take too: each comes out as the same model trained alone on its sample."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.training import Session
from denpa.training.members_plan import member_steps, sampled_rows, shares_of
from tests.training.common import HELD_OUT, QUIET, RAGGED, RANDOM_NET, bits, model, rows

MEMBERS, N, SEED = 3, 23, 7  # samples of 13, 15 and 15 distinct examples: three batches of five
WEIGHT = np.random.default_rng(3).uniform(0.5, 2.0, N).astype(np.float32)
WEIGHTED = (*RAGGED, WEIGHT)


def close(ours, theirs):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def same_history(ours, theirs):
    for mine, other in zip((*ours.epochs, *ours.steps), (*theirs.epochs, *theirs.steps), strict=True):
        for name in other:
            np.testing.assert_allclose(mine[name], other[name], rtol=1e-3, err_msg=name)


def alone(ours, member, data, **options):
    """The model of a member, trained by itself on the examples of its sample, weighted by how often they were drawn."""
    x, t, *weight = data
    single, index = make_like(ours, member), np.arange(len(jax.tree.leaves(x)[0]))
    share = np.ones(len(index), np.float32)
    if ours.bootstrap:
        listed, shares = shares_of(ours.counts)
        index, share = listed[member], shares[member][listed[member]]
    weight = share * weight[0][index] if weight else share
    x, t = jax.tree.map(lambda a: a[index], (x, t))
    single.fit((x, t, weight), **QUIET | options)
    return single


def make_like(ours, member):
    m = ours.model
    parts = {name: getattr(m, name) for name in ("normalizer", "target_normalizer", "frozen")}
    single = dp.Model(m.net, m.loss, m.optimizer, m.metrics, m.penalty, seed=int(ours.seeds[member]), **parts)
    single.statistics = ours.statistics
    return single


def random_model(**options):
    """Dropout, running statistics, momentum with a falling rate, penalty, weights of classes, something frozen."""
    loss = dp.SoftmaxCrossEntropy(class_weight=(1.0, 2.0, 0.5))
    optimizer = dp.Momentum(dp.schedules.CosineDecay(0.1, 0.001, 12))
    parts = {"loss": loss, "optimizer": optimizer, "penalty": dp.L2(1e-3), "normalizer": dp.Standardize()}
    return model(RANDOM_NET, seed=SEED, frozen="0_dense/b", **parts | options)


def train(ours, folder=None, callbacks=(), **options):
    keep = [] if folder is None else [dp.Checkpoint(folder, every_steps=2)]
    options = {"epochs": 4, "record_steps": True, "validation": HELD_OUT, "callbacks": [*callbacks, *keep]} | options
    return ours.fit(WEIGHTED, **QUIET | options)


@pytest.fixture(scope="module")
def reference():
    ours = dp.Bagging(random_model(), members=MEMBERS)
    train(ours)
    return ours


def test_a_member_is_the_model_trained_alone_on_its_sample(reference):
    """Its rate too has come to the end of its fall: a schedule's steps are those of one member."""
    single = alone(reference, 0, WEIGHTED, epochs=4, record_steps=True)
    member = reference.member(0)
    assert (member.epochs, member.steps) == (single.epochs, single.steps)
    assert member.steps == 4 * reference.steps_per_epoch(N, QUIET["batch_size"]) == 12
    close(member.variables, single.variables)
    close(member.run.optimizer, single.run.optimizer)
    same_history(member.history, single.history)
    assert reference.history.steps[5]["loss"] == pytest.approx(
        np.mean([history.steps[5]["loss"] for history in reference.histories])
    )


@pytest.mark.parametrize("examples", [3, 23, 200])
def test_members_go_through_their_own_samples_alone(examples):
    """Those with fewer distinct examples than others list some twice, at half the weight each time."""
    counts = sampled_rows(examples, 5, 1)
    listed, shares = shares_of(counts)
    assert {len(seen) for seen in listed} == {(counts > 0).sum(axis=1).max()}
    for own, seen, share in zip(counts, listed, shares, strict=True):
        assert (own[seen] > 0).all()
        total = np.bincount(seen, weights=share[seen], minlength=examples)
        np.testing.assert_allclose(total, own, rtol=1e-6)
    assert member_steps(examples, 2, 5, 1, bootstrap=True) == -(-len(listed[0]) // 2)
    assert member_steps(examples, 2, 5, 1, bootstrap=False) == -(-examples // 2)


# -------------------------------------------------------------------------------------------------- checkpoints
class Crash(Exception):
    pass


class EndAt(dp.Callback):
    """End after so many updates: by an error from inside a callback, or between chunks as Ctrl-C does."""

    def __init__(self, step, error=Crash):
        object.__setattr__(self, "step", step)
        object.__setattr__(self, "error", error)

    def begin(self, training):
        session = Session(training)
        session.period = 1

        def look():
            if training.step == self.step:
                raise self.error

        session.on_period = look
        return session


def whole(ours):
    return bits(vars(ours.run))


@pytest.mark.parametrize("stop", [3, 4, 11])
def test_resumed_members_are_uninterrupted_ones(reference, tmp_path, stop):
    """Inside an epoch and at its end; as after kill -9, for nothing is written on the way out."""
    with pytest.raises(Crash):
        train(dp.Bagging(random_model(), members=MEMBERS), tmp_path, [EndAt(stop)])
    resumed = dp.Bagging(random_model(), members=MEMBERS)
    history = train(resumed, tmp_path, resume=tmp_path)
    assert whole(resumed) == whole(reference)
    assert rows(history) == rows(reference.history)
    assert history.steps == reference.history.steps
    for ours, theirs in zip(resumed.histories, reference.histories, strict=True):
        assert (rows(ours), ours.steps) == (rows(theirs), theirs.steps)
    assert (resumed.epochs, resumed.steps) == (reference.epochs, reference.steps)
    assert resumed.out_of_bag == reference.out_of_bag
    assert bits(resumed.statistics) == bits(reference.statistics)


def test_other_members_are_not_resumed(tmp_path):
    train(dp.Bagging(random_model(), members=MEMBERS), tmp_path, epochs=1)
    other = dp.Bagging(random_model(), members=2)
    with pytest.raises(dp.ConfigError, match="its members is"):
        train(other, resume=tmp_path)
    assert other.run is None
    assert other.statistics is None


# ------------------------------------------------------------------------------------------ what else fit takes
def test_several_inputs_in_windows_with_normalised_targets():
    """Batches drawn with replacement, too; the carry goes from window to window for each member."""
    rng = np.random.default_rng(2)
    x = tuple(rng.normal(size=(12, 6, size)).astype(np.float32) for size in (2, 1))
    t = 3 + 2 * x[0] + x[1]
    first, second = dp.Input(), dp.Input()
    net = dp.Graph((first, second), dp.Dense(2)(dp.RNN(3, return_sequences=True)(dp.Concatenate()(first, second))))
    parts = {"target_normalizer": dp.Standardize(per="channel"), "seed": SEED}
    ours = dp.Bagging(dp.Model(net, dp.MeanSquaredError(), dp.SGD(0.1), **parts), members=2)
    options = {"epochs": 2, "window": 3, "replacement": True, "batch_size": 4}
    ours.fit((x, t), **QUIET | options)
    single = alone(ours, 1, (x, t), **options)
    close(ours.member(1).variables, single.variables)
    np.testing.assert_allclose(ours.predict_members(x)[1], single.predict(x), rtol=1e-3)


def test_early_stopping_watches_what_all_members_reach_together(reference):
    ours = dp.Bagging(random_model(), members=MEMBERS)
    history = train(ours, callbacks=[dp.EarlyStopping(1, monitor="validation_accuracy", min_delta=1.0)])
    assert len(history) == 2
    assert "has not improved" in history.stopped
    assert rows(history) == rows(reference.history)[:2]
    assert history.best_epoch == 1
    assert ours.evaluate(HELD_OUT)["loss"] == pytest.approx(history["validation_loss"][0], rel=1e-5)
    assert ours.evaluate(HELD_OUT)["loss"] != pytest.approx(history["validation_loss"][1], rel=1e-4)


def test_members_start_from_the_weights_that_the_model_was_given():
    given = random_model()
    given.build(4)
    bias = np.arange(6, dtype=np.float32) / 6
    params = {**given.run.params, "0_dense": {**given.run.params["0_dense"], "b": bias}}
    given.variables = (params, given.run.state)
    ours = dp.Bagging(given, members=MEMBERS)
    train(ours, epochs=1)
    for member in range(MEMBERS):  # it is frozen
        np.testing.assert_array_equal(ours.member(member).variables.params["0_dense"]["b"], bias)
    outer = ours.run.params["4_dense"]["W"]
    assert not np.allclose(outer[0], outer[1], atol=0.05)  # drawn by each


def test_members_of_a_sweep_differ_in_starts_and_schedules_and_can_be_resumed(tmp_path):
    """Numbers of an initialiser and of a schedule, whole ones among them: as if written into the description."""

    def described(gain, steps, seed=0):
        start = dp.init.Orthogonal(gain)
        net = dp.Sequential([dp.Dense(5, kernel_init=start), dp.Tanh(), dp.Dense(3)])
        return model(net, optimizer=dp.SGD(dp.schedules.LinearDecay(0.5, 0.01, steps)), seed=seed)

    over = {"net.layers.0.kernel_init.gain": [1.0, 3.0], "optimizer.learning_rate.steps": [4, 9]}
    options = {"seeds": [2], "epochs": 3, "replacement": True, "record_steps": True, "validation": HELD_OUT}
    options |= {"callbacks": [dp.Checkpoint(tmp_path, every_steps=3)]} | QUIET
    whole_sweep = dp.sweep(described(2.0, 5), RAGGED, over, **options)
    single = described(3.0, 9, seed=2)
    single.fit(RAGGED, epochs=3, replacement=True, record_steps=True, validation=HELD_OUT, **QUIET)
    close(whole_sweep.models[3].variables, single.variables)
    same_history(whole_sweep.histories[3], single.history)
    (tmp_path / "checkpoint" / "step_0000000012.safetensors").unlink()
    again = dp.sweep(described(2.0, 5), RAGGED, over, **options, resume=tmp_path)
    assert [whole(m) for m in again.models] == [whole(m) for m in whole_sweep.models]
    assert again.rows == whole_sweep.rows
    with pytest.raises(dp.ConfigError, match="its members is"):
        dp.sweep(described(2.0, 5), RAGGED, over, **options | {"seeds": [3]}, resume=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buckets": 2}, "leave buckets out"),
        ({"callbacks": [dp.EarlyStopping(retrain="continue")]}, "leave retrain out"),
        ({"callbacks": [dp.EarlyStopping()], "sweep": True}, "EarlyStopping would end them at one moment"),
        ({"seeds": [-1], "sweep": True}, "A seed must be an integer from 0"),
        ({"window": 2}, "there is none in"),
        ({"resume": 3}, "resume must be the path"),
    ],
)
def test_what_members_cannot_take_is_refused_and_nothing_changed(options, message):
    of_sweep = options.pop("sweep", False)
    ours = random_model() if of_sweep else dp.Bagging(random_model(), members=MEMBERS)
    with pytest.raises(dp.ConfigError, match=message):
        dp.sweep(ours, WEIGHTED, **options, **QUIET) if of_sweep else train(ours, **options)
    assert ours.run is None
    assert ours.statistics is None
