"""What `fit` takes, members take too: each comes out as the same model trained alone on its sample."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.training.members_plan import member_steps, sampled_rows, shares_of
from tests.training.common import HELD_OUT, QUIET, RAGGED, RANDOM_NET, Crash, EndAt, bits, model, rows

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
    rule = dp.EarlyStopping(1, monitor="validation_accuracy", min_delta=1.0, members="together")
    history = train(ours, callbacks=[rule])
    assert len(history) == 2
    assert "has not improved" in history.stopped
    assert rows(history) == rows(reference.history)[:2]
    assert history.best_epoch == 1
    assert ours.evaluate(HELD_OUT)["loss"] == pytest.approx(history["validation_loss"][0], rel=1e-5)
    assert ours.evaluate(HELD_OUT)["loss"] != pytest.approx(history["validation_loss"][1], rel=1e-4)
    assert [(own.stopped, len(own), own.best_epoch) for own in ours.histories] == [(history.stopped, 2, None)] * MEMBERS


# ---------------------------------------------------------------------------------------- early stopping of each
def ended(own):
    """When a model was stopped, and what was kept."""
    return own.epochs, own.steps, own.history.best_epoch, own.history.stopped


def ends(ours):
    return [ended(ours.member(index)) for index in range(MEMBERS)]


@pytest.fixture(scope="module")
def stopped():
    """Members that end after 3, 3 and 8 epochs, with what each had after each epoch."""
    ours, after = dp.Bagging(random_model(), members=MEMBERS), []
    train(ours, callbacks=[dp.EarlyStopping(2), lambda t: after.append(t.model.variables)], epochs=12)
    return ours, after


def test_a_member_is_stopped_as_if_it_were_alone(stopped):
    """Its parameters, moments, counters and history are those of the model that `fit` makes of its sample."""
    ours, after = stopped
    assert [(epochs, best) for epochs, _, best, _ in ends(ours)] == [(3, 1), (3, 1), (8, 6)]
    assert (ours.epochs, ours.steps, ours.history.stopped) == (8, 24, "all members have stopped")
    for index in (0, 2):
        rule = dp.EarlyStopping(2)
        single = alone(ours, index, WEIGHTED, epochs=12, record_steps=True, validation=HELD_OUT, callbacks=[rule])
        member = ours.member(index)
        assert ended(member) == ended(single)
        close((member.variables, member.run.optimizer), (single.variables, single.run.optimizer))
        assert member.run.step == single.run.step
        assert len(member.history) == len(single.history)
        same_history(member.history, single.history)
        best = jax.tree.map(lambda a, i=index: a[i], after[single.history.best_epoch - 1])
        assert bits(member.variables) == bits(best)  # of a member that has stopped, nothing changes any more
    row = ours.history.epochs[7]  # means over those who are still in training, here one
    assert row["loss"] == pytest.approx(ours.histories[2]["loss"][7])
    assert ours.histories[2]["validation_loss"][5] == pytest.approx(ours.evaluate_members(HELD_OUT)[2]["loss"])


def test_members_are_measured_every_few_updates():
    """In the midst of epochs of three steps; by a rule that restores nothing."""
    ours, rule = dp.Bagging(random_model(), members=MEMBERS), dp.EarlyStopping(2, period=2, restore_best=False)
    train(ours, callbacks=[rule], epochs=12)
    assert [steps for _, steps, *_ in ends(ours)] == [6, 6, 20]
    single = alone(ours, 2, WEIGHTED, epochs=12, validation=HELD_OUT, callbacks=[rule])
    assert ended(ours.member(2)) == ended(single)
    close(ours.member(2).variables, single.variables)


@pytest.mark.parametrize("stop", [7, 10, 23])
def test_members_are_resumed_with_those_that_have_stopped(stopped, tmp_path, stop):
    """Before the first ends, after two have, and just before the last."""
    rule = dp.EarlyStopping(2)
    with pytest.raises(Crash):
        train(dp.Bagging(random_model(), members=MEMBERS), tmp_path, [rule, EndAt(stop)], epochs=12)
    resumed = dp.Bagging(random_model(), members=MEMBERS)
    history = train(resumed, tmp_path, [rule], epochs=12, resume=tmp_path)
    assert whole(resumed) == whole(stopped[0])
    assert rows(history) == rows(stopped[0].history)
    assert ends(resumed) == ends(stopped[0])
    assert resumed.steps == stopped[0].steps


def test_what_has_stopped_is_kept_and_can_go_on(stopped, tmp_path):
    stopped[0].save(tmp_path / "members.safetensors")
    again = dp.load(tmp_path / "members.safetensors")
    for index in range(MEMBERS):
        one, other = again.member(index), stopped[0].member(index)
        assert (one.epochs, one.steps, int(one.run.step)) == (other.epochs, other.steps, other.steps)
    train(again, epochs=1)
    assert ends(again) == [(4, 12, None, "")] * 2 + [(9, 27, None, "")]


def test_a_member_that_has_stopped_cannot_harm_the_others(reference):
    """Those that are stacked with it make its steps too; what these come to counts for nothing."""

    def break_the_first(training):
        if training.row["epoch"] == 2:
            training.model.histories[0].stopped = "broken"
            params, state = training.model.variables
            training.model.variables = (jax.tree.map(lambda a: a.at[0].set(np.nan), params), state)

    ours = dp.Bagging(random_model(), members=MEMBERS)
    train(ours, callbacks=[break_the_first], validation=None)
    assert ours.run.step.tolist() == [6, 12, 12]
    for index in (1, 2):
        assert bits(ours.member(index).variables) == bits(reference.member(index).variables)


def test_members_of_a_sweep_stop_one_by_one():
    """Each as if alone; its row is of what the model then has."""
    rule, over = dp.EarlyStopping(2, monitor="validation_accuracy"), {"optimizer.learning_rate": [0.1, 0.5]}
    found = dp.sweep(model(seed=2), RAGGED, over, validation=HELD_OUT, epochs=6, callbacks=[rule], **QUIET)
    assert len({own.epochs for own in found.models}) == 2
    for row, own in zip(found.rows, found.models, strict=True):
        for name, value in own.evaluate(HELD_OUT).items():
            assert row[f"validation_{name}"] == pytest.approx(value, rel=1e-4)
        assert row["best_epoch"] == own.history.best_epoch
        assert row["loss"] == own.history["loss"][own.history.best_epoch - 1]
    single = model(seed=2)
    single.fit(RAGGED, validation=HELD_OUT, epochs=6, callbacks=[rule], **QUIET)
    assert ended(found.models[0]) == ended(single)
    close(found.models[0].variables, single.variables)


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
        ({"devices": 2}, "leave devices out"),
        ({"callbacks": [dp.EarlyStopping(retrain="continue")]}, "leave retrain out"),
        ({"callbacks": [dp.EarlyStopping(members="together")], "sweep": True}, "ends all members at one moment"),
        ({"callbacks": [dp.EarlyStopping(monitor="validation_los")]}, "did you mean 'validation_loss'"),
        ({"seeds": [-1], "sweep": True}, "seed must be an integer from 0"),
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
