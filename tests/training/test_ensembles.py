"""Many models in one program: each comes out as if alone; what bagging decides, scores and keeps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.training.members import combined, with_number
from denpa.training.members_plan import sampled_rows
from denpa.training.storage import read_arrays, write_arrays

RNG = np.random.default_rng(7)
MEMBERS = 4
_labels = RNG.integers(0, 3, 90)
X = (RNG.standard_normal((90, 5)) + 1.2 * np.eye(3, 5)[_labels]).astype(np.float32)
T = _labels.astype(np.int32)
NET = dp.Sequential([dp.Dense(8), dp.Tanh(), dp.Dense(3)])


def described(seed=3, **options):
    metrics = [dp.Accuracy()]
    return dp.Model(NET, dp.SoftmaxCrossEntropy(), dp.Adam(0.02), metrics=metrics, seed=seed, **options)


@pytest.fixture(scope="module")
def bagging():
    ours = dp.Bagging(described(normalizer=dp.Standardize()), members=MEMBERS)
    ours.fit((X, T), validation=(X[:20], T[:20]), epochs=4, batch_size=20, verbose=False)
    return ours


def close(a, b):
    for one, two in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-6)


def test_a_member_of_a_sweep_is_the_model_trained_alone():
    found = dp.sweep(
        described(penalty=dp.L2(0.1)),
        (X, T),
        {"optimizer.learning_rate": [0.01, 0.05], "penalty.strength": [0.0, 0.3]},
        seeds=[1, 6],
        validation=(X[:20], T[:20]),
        epochs=3,
        batch_size=25,  # 90 = 3 · 25 + 15: a smaller last batch too
        verbose=False,
    )
    assert len(found.rows) == 8
    row, model = found.rows[7], found.models[7]
    assert (row["optimizer.learning_rate"], row["penalty.strength"], row["seed"]) == (0.05, 0.3, 6)
    alone = dp.Model(NET, dp.SoftmaxCrossEntropy(), dp.Adam(0.05), [dp.Accuracy()], dp.L2(0.3), seed=6)
    history = alone.fit((X, T), validation=(X[:20], T[:20]), epochs=3, batch_size=25, verbose=False)
    close(model.variables, alone.variables)
    for column in ("loss", "penalty", "accuracy", "validation_loss"):
        np.testing.assert_allclose(found.histories[7][column], history[column], rtol=1e-4)
    np.testing.assert_allclose(model.predict(X), alone.predict(X), rtol=1e-3, atol=1e-5)
    losses = [row["validation_loss"] for row in found.rows]
    assert found.best() == int(np.argmin(losses))
    assert str(found).count("\n") == 8


def test_a_member_that_diverges_leaves_the_others_alone():
    found = dp.sweep(
        dp.Model(dp.Sequential([dp.Dense(1)]), dp.MeanSquaredError(), dp.SGD(0.1)),
        (X, X[:, :1]),
        {"optimizer.learning_rate": [1e30, 0.1]},
        epochs=3,
        verbose=False,
    )
    assert [row["finite"] for row in found.rows] == [False, True]
    assert found.best("loss") == 1


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"optimizer.learning_rat": [1.0]}, "learning_rate"),
        ({"optimizer.learning_rate": [-1.0]}, "positive"),
        ({"net.layers.0.units": [3]}, "units"),
        ({"net.layers.9.units": [3]}, "none of the 3"),
        ({"net.layers.3.units": [3]}, "none of the 3"),
        ({"net.layers.0.use_bias": [0.0]}, "use_bias of Dense is True, which is no number"),
        ({"loss.reduction": [3]}, "no number"),
        ({"optimizer.learning_rate": []}, "a value or more"),
        ({"optimizer.learning_rate": 0.1}, "over wants a list of values for each place"),
        (3, "over wants a list of values for each place: .* not 3"),
    ],
)
def test_a_sweep_over_what_is_no_number_is_refused_by_name(over, message):
    with pytest.raises(dp.ConfigError, match=message):
        dp.sweep(described(), (X, T), over, verbose=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": ["a"]}, "seed must be an integer .* not 'a'"),
        ({"seeds": [1.5]}, "seed must be an integer .* not 1.5"),
        ({"seeds": -1}, "seed must be an integer .* not -1"),
        ({"epochs": 0}, "epochs must be a whole number, 1 or more, not 0"),
    ],
)
def test_options_of_a_sweep_that_are_none(options, message):
    with pytest.raises(dp.ConfigError, match=message):
        dp.sweep(described(), (X, T), verbose=False, **options)


def of_bagging(model, data=(X, T), **options):
    return dp.Bagging(model, members=2).fit(data, verbose=False, **options)


def of_sweep(model, data=(X, T), **options):
    return dp.sweep(model, data, seeds=[1, 6], verbose=False, **options)


@pytest.mark.parametrize("train", [of_bagging, of_sweep])
@pytest.mark.parametrize("option", ["shuffle", "replacement", "record_steps"])
def test_options_of_members_that_are_true_or_false_take_no_words(train, option):
    with pytest.raises(dp.ConfigError, match=f"{option} must be true or false, not 'no'"):
        train(described(), **{option: "no"})


@pytest.mark.parametrize("train", [of_bagging, of_sweep])
def test_a_part_assigned_to_the_model_of_members_is_looked_at_before_training(train):
    model = described()
    model.loss = "mse"
    with pytest.raises(dp.ConfigError, match="loss must be one of denpa's, not 'mse'"):
        train(model)


def test_a_sweep_leaves_its_model_as_it_is():
    model = described(normalizer=dp.Standardize())
    with pytest.raises(dp.DataError, match="equally many"):
        of_sweep(model, (X[:, :2], T[:5]))
    assert model.run is None
    found = of_sweep(model, epochs=1)  # of another shape than the data that were refused
    assert (model.run, model.in_shape, model.statistics) == (None, None, None)
    assert found.models[0].in_shape == (5,)
    np.testing.assert_array_equal(found.models[1].statistics["mean"], X.mean(axis=0, dtype=np.float64).astype("f4"))


def test_bootstrap_samples_hold_as_many_examples_as_there_are_and_63_percent_of_them():
    counts = sampled_rows(2000, 20, 1)
    assert (counts.sum(axis=1) == 2000).all()
    distinct = (counts > 0).mean()
    assert abs(distinct - (1 - np.exp(-1))) < 5 * np.sqrt(0.0972 / 40_000)
    assert len({tuple(row) for row in counts}) == 20


def test_members_learn_from_their_samples_alone(bagging):
    """The examples that a member never drew may be anything."""
    spoilt = X.copy()
    never = bagging.counts[2] == 0
    spoilt[never] = RNG.standard_normal(X[never].shape) * 5
    one = dp.Bagging(described(), members=MEMBERS)
    two = dp.Bagging(described(), members=MEMBERS)
    one.fit((X, T), epochs=2, batch_size=20, verbose=False)
    two.fit((spoilt, T), epochs=2, batch_size=20, verbose=False)
    close(one.member(2).variables, two.member(2).variables)
    assert not np.allclose(one.member(1).predict(X), two.member(1).predict(X), atol=1e-3)


def test_the_common_output_is_the_mean_of_the_probabilities(bagging):
    each = np.stack([bagging.member(m).predict_probabilities(X) for m in range(MEMBERS)])
    np.testing.assert_allclose(bagging.predict_probabilities(X), each.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(bagging.predict_classes(X), each.mean(axis=0).argmax(axis=-1))
    votes = each.argmax(axis=-1)
    majority = [np.bincount(column, minlength=3).argmax() for column in votes.T]
    np.testing.assert_array_equal(bagging.predict_classes(X, vote="majority"), majority)
    for vote in ("mean", "majority"):
        assert bagging.predict_classes(X, vote=vote).dtype == np.int32
    found = bagging.evaluate((X, T))
    assert found["accuracy"] == pytest.approx((each.mean(axis=0).argmax(axis=-1) == T).mean())
    assert found["loss"] == pytest.approx(-np.log(each.mean(axis=0)[np.arange(90), T]).mean(), rel=1e-4)
    alone = [bagging.member(m).evaluate((X, T)) for m in range(MEMBERS)]
    assert [row["loss"] for row in bagging.evaluate_members((X, T))] == pytest.approx([r["loss"] for r in alone])
    assert found["loss"] <= np.mean([row["loss"] for row in alone])  # Jensen: −ln is convex


def test_inputs_of_many_sizes_need_few_programs(bagging):
    program = bagging.programs.together
    whole = bagging.predict(X[:8])
    before = len(program._programs)
    for count in (5, 6, 7):
        np.testing.assert_array_equal(bagging.predict(X[:count]), whole[:count])
    assert len(program._programs) == before


def test_out_of_bag_asks_those_who_never_saw_the_example(bagging):
    each = np.stack([bagging.member(m).predict_probabilities(X) for m in range(MEMBERS)])
    heard = bagging.counts == 0
    judged = heard.any(axis=0)
    assert 0 < judged.sum() < 90
    mean = (each * heard[..., None]).sum(axis=0)[judged] / heard.sum(axis=0)[judged][:, None]
    assert bagging.out_of_bag["accuracy"] == pytest.approx((mean.argmax(axis=-1) == T[judged]).mean())
    assert bagging.out_of_bag["loss"] == pytest.approx(-np.log(mean[np.arange(len(mean)), T[judged]]).mean(), rel=1e-4)


def test_history_is_the_mean_of_the_members_and_validation_that_of_all(bagging):
    assert bagging.history["accuracy"] == pytest.approx(np.mean([h["accuracy"] for h in bagging.histories], axis=0))
    assert bagging.history["validation_loss"][-1] == pytest.approx(bagging.evaluate((X[:20], T[:20]))["loss"], rel=1e-5)
    assert bagging.epochs == len(bagging.history) == 4


def test_the_score_of_an_earlier_fit_does_not_outlive_the_next():
    ours = dp.Bagging(described(), members=2)
    ours.fit((X, T), epochs=1, verbose=False)
    assert ours.out_of_bag

    def fail(training):
        raise RuntimeError("in the midst")

    with pytest.raises(RuntimeError, match="in the midst"):
        ours.fit((X, T), epochs=1, callbacks=[fail], verbose=False)
    assert ours.out_of_bag == {}


def test_scores_that_are_arrays_are_not_kept_in_the_file(tmp_path):
    model = dp.Model(NET, dp.SoftmaxCrossEntropy(), metrics=[dp.Accuracy(), dp.ConfusionMatrix(3)])
    ours = dp.Bagging(model, members=2)
    ours.fit((X, T), epochs=1, verbose=False)
    assert np.shape(ours.out_of_bag["confusion_matrix"]) == (3, 3)
    ours.save(tmp_path / "members.safetensors")
    again = dp.load(tmp_path / "members.safetensors").out_of_bag
    assert again == {name: ours.out_of_bag[name] for name in ("loss", "accuracy")}


def test_saved_members_come_back_and_go_on(bagging, tmp_path):
    bagging.save(tmp_path / "members.safetensors")
    again = dp.load(tmp_path / "members.safetensors")
    assert isinstance(again, dp.Bagging)
    np.testing.assert_array_equal(again.predict(X), bagging.predict(X))
    np.testing.assert_array_equal(again.counts, bagging.counts)
    assert again.out_of_bag == bagging.out_of_bag
    assert again.evaluate((X, T)) == bagging.evaluate((X, T))
    again.fit((X, T), epochs=1, batch_size=20, verbose=False)
    assert (again.epochs, again.steps) == (5, bagging.steps // 4 * 5)
    with pytest.raises(dp.DataError, match="90 examples"):
        again.fit((X[:50], T[:50]), verbose=False)


def test_members_saved_before_each_counted_for_itself_come_back(bagging, tmp_path):
    bagging.save(tmp_path / "new.safetensors")
    arrays, description = read_arrays(tmp_path / "new.safetensors")
    for name in ("member_epochs", "member_steps"):
        del description["bagging"][name]
    write_arrays(tmp_path / "old.safetensors", arrays, description)
    again = dp.load(tmp_path / "old.safetensors")
    np.testing.assert_array_equal(again.predict(X), bagging.predict(X))
    assert (again.member(2).epochs, again.member(2).steps) == (4, bagging.steps)


def test_what_a_file_says_of_members_cannot_take_the_place_of_methods(bagging, tmp_path):
    bagging.save(tmp_path / "m.safetensors")
    arrays, description = read_arrays(tmp_path / "m.safetensors")
    description["bagging"] |= {"predict": "mine", "model": "mine"}
    write_arrays(tmp_path / "m.safetensors", arrays, description)
    np.testing.assert_array_equal(dp.load(tmp_path / "m.safetensors").predict(X), bagging.predict(X))


@pytest.mark.parametrize(
    "broken",
    [
        "members",
        "steps",
        {"members": "many"},
        {"members": 0},
        {"bootstrap": 1},
        {"examples": -1},
        {"steps": 1e3},
        {"member_epochs": [1]},
        {"member_steps": ["a", "b"]},
        {"out_of_bag": {"loss": "low"}},
        None,
    ],
)
def test_members_that_are_none_are_damage(bagging, tmp_path, broken):
    bagging.save(tmp_path / "m.safetensors")
    arrays, description = read_arrays(tmp_path / "m.safetensors")
    if broken is None:
        del description["bagging"]
    elif isinstance(broken, str):
        del description["bagging"][broken]
    else:
        description["bagging"] |= broken
    write_arrays(tmp_path / "m.safetensors", arrays, description)
    with pytest.raises(dp.FileFormatError, match=r"m\.safetensors"):
        dp.load(tmp_path / "m.safetensors")


@pytest.mark.parametrize("loss", [dp.SigmoidCrossEntropy(), dp.BinaryCrossEntropy(), dp.CrossEntropy()], ids=str)
def test_outputs_are_combined_as_probabilities_whatever_the_loss_reads(loss):
    outputs = jnp.asarray(RNG.uniform(0.1, 0.9, (3, 6, 2)), jnp.float32)
    mean = np.asarray(loss.probabilities(outputs)).mean(axis=0)
    np.testing.assert_allclose(loss.probabilities(combined(loss, outputs)), mean, rtol=1e-5)
    half = outputs.astype(jnp.bfloat16)
    np.testing.assert_array_equal(combined(loss, half), combined(loss, half.astype(jnp.float32)))


@pytest.mark.parametrize("loss", [dp.SigmoidCrossEntropy(), dp.SoftmaxCrossEntropy()], ids=str)
def test_members_that_are_certain_have_finite_logits_together(loss):
    """Probabilities of 0 and 1 in all members: a logarithm of 0 would make 0 · ∞ of the loss."""
    logits = jnp.full((3, 4, 2), 1000.0).at[..., 0].set(-1000.0)
    together = combined(loss, logits)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(loss.probabilities(together), [[0, 1]] * 4, atol=1e-30)
    assert loss.value(together, jnp.asarray([[0.0, 1.0]] * 4)) == pytest.approx(0, abs=1e-6)


def test_weights_of_steps_are_drawn_with_their_sequences():
    """Weights (examples, time): each member's objective, and the score of those who never saw a sequence."""
    x = RNG.standard_normal((12, 5, 2)).astype(np.float32)
    t, weight = x[..., :1] - 2 * x[..., 1:], RNG.uniform(0.2, 2, (12, 5)).astype(np.float32)
    model = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(0.1), seed=1)
    ours = dp.Bagging(model, members=3)
    ours.fit((x, t, weight), epochs=3, batch_size="full", verbose=False)
    counts = ours.counts
    for m in range(3):
        alone = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(0.1), seed=int(ours.seeds[m]))
        drawn = np.repeat(np.arange(12), counts[m])
        alone.fit((x[drawn], t[drawn], weight[drawn]), epochs=3, batch_size="full", verbose=False)
        close(ours.member(m).variables, alone.variables)
    heard = counts == 0
    judged = heard.any(axis=0)
    outputs = ours.predict_members(x) * heard[..., None, None]
    mean = outputs.sum(axis=0)[judged] / heard.sum(axis=0)[judged][:, None, None]
    wanted = model.loss.value(jnp.asarray(mean), jnp.asarray(t[judged]), jnp.asarray(weight[judged]))
    assert ours.out_of_bag["loss"] == pytest.approx(float(wanted), rel=1e-4)


def test_a_member_whose_running_statistics_overflow_is_not_finite():
    """Its parameters are still finite: what is normalised by an infinite variance is 0."""
    model = dp.Model([dp.BatchNorm(), dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(0.1))
    found = dp.sweep(model, (1e25 * X, X[:, :1]), epochs=1, seeds=[0, 1], verbose=False)
    assert [row["finite"] for row in found.rows] == [False, False]


def test_a_whole_number_stays_one_in_its_place():
    schedule = dp.schedules.LinearDecay(0.5, 0.01, 5)
    changed = with_number(schedule, "steps", 9.0)
    assert (changed.steps, type(changed.steps)) == (9, int)
    assert with_number(schedule, "steps", 2.5).steps == 2.5  # the caller has the schedule refuse it


def test_the_error_of_the_mean_has_the_variance_of_breimans_formula():
    """s²/M + (2/M²) Σ_{l<m} s_lm, for errors of any covariance."""
    members, draws = 5, 200_000
    mix = RNG.standard_normal((members, members))
    covariance = mix @ mix.T
    errors = RNG.multivariate_normal(np.zeros(members), covariance, draws)
    upper = np.triu_indices(members, 1)
    formula = np.trace(covariance) / members**2 + 2 / members**2 * covariance[upper].sum()
    squares = errors.mean(axis=1) ** 2
    assert abs(squares.mean() - formula) < 5 * squares.std() / np.sqrt(draws)
    assert formula == pytest.approx(covariance.sum() / members**2)


def test_members_are_numbered_and_seeded_from_that_of_the_model(bagging):
    assert dp.Bagging(described(seed=2**32 - 1), members=3).seeds.tolist() == [2**32 - 1, 0, 1]
    for index in (-1, MEMBERS):
        with pytest.raises(dp.ConfigError, match=f"there is no {index}"):
            bagging.member(index)
    with pytest.raises(dp.ConfigError, match="has not been trained"):
        dp.Bagging(bagging.member(0))
    with pytest.raises(dp.ConfigError, match='"mean" or "majority", not \'median\''):
        bagging.predict_classes(X, vote="median")


@pytest.mark.parametrize("normalizer", [None, dp.Standardize(), dp.MinMax(), dp.Standardize(per="channel")], ids=str)
def test_each_member_answers_in_the_units_of_the_targets(normalizer):
    values = 50 + 7 * X[:, :2]
    ours = dp.Bagging(dp.Model([dp.Dense(2)], dp.MeanSquaredError(), target_normalizer=normalizer), members=3)
    ours.fit((X, values), epochs=1, verbose=False)
    answers = ours.predict_members(X)
    close(answers, np.stack([ours.member(index).predict(X) for index in range(3)]))
    np.testing.assert_allclose(answers.mean(axis=0), ours.predict(X), rtol=1e-5, atol=1e-4)


def test_what_is_asked_of_an_ensemble_is_checked_as_a_model_checks_it():
    bagging = dp.Bagging(described(), members=2)
    bagging.fit((X, T), epochs=1, verbose=False)
    assert bagging.member(np.int64(1)).seed == bagging.model.seed + 1
    for index in (None, "0", True, 1.0, -1, 2, [0]):
        with pytest.raises(dp.ConfigError, match="members are numbered from 0 to 1: there is no"):
            bagging.member(index)
    for examples in (None, 0, 2.0, "3"):
        with pytest.raises(dp.ConfigError, match="examples must be a whole number, 1 or more, not"):
            bagging.steps_per_epoch(examples)
    with pytest.raises(dp.ConfigError, match='vote is "mean" or "majority"'):
        bagging.predict_classes(X, vote=np.zeros(2))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, None, 10**400, "1"])
def test_a_sweep_takes_no_value_that_a_description_refuses(value):
    with pytest.raises(dp.ConfigError, match=r"optimizer.learning_rate must be a number, not"):
        dp.sweep(described(), (X, T), {"optimizer.learning_rate": [0.1, value]}, epochs=1, verbose=False)


def test_the_best_of_a_column_is_none_that_lacks_its_number():
    stop = dp.EarlyStopping(patience=4, period=1)
    found = dp.sweep(
        dp.Model([dp.Dense(3)], dp.SoftmaxCrossEntropy(), dp.SGD(0.1)),
        (X, T),
        {"optimizer.learning_rate": [300.0, 0.02]},
        validation=(X[:20], T[:20]),
        epochs=2,
        batch_size=4,
        callbacks=stop,
        verbose=False,
    )
    assert np.isnan(found.rows[0]["loss"])
    assert found.rows[0]["finite"]
    assert found.best("loss") == found.best("loss", largest=True) == 1
    assert found.best(largest=True) == 0
    with pytest.raises(dp.ConfigError, match="largest must be true or false, not 'no'"):
        found.best(largest="no")
    with pytest.raises(dp.ConfigError, match="No member has a number in the column 'loss'"):
        dp.Sweep(found.rows[:1], found.histories[:1], found.models[:1]).best("loss")


def test_what_cannot_be_an_ensemble_is_refused():
    with pytest.raises(dp.ConfigError, match="Model"):
        dp.Bagging(NET)
    for members in (0, 2.0, True):
        with pytest.raises(dp.ConfigError, match=f"members must be a whole number, 1 or more, not {members}"):
            dp.Bagging(described(), members=members)
    with pytest.raises(dp.ConfigError, match="bootstrap"):
        dp.Bagging(described(), bootstrap="no")
    with pytest.raises(dp.ConfigError, match="fit them"):
        dp.Bagging(described()).predict(X)


def test_a_diverging_ensemble_keeps_its_last_good_state(tmp_path):
    diverging = dp.Bagging(dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(1e30)), members=2)
    keep = dp.Checkpoint(tmp_path)
    with pytest.raises(dp.DivergenceError, match="at step 2: of member 0, the loss "):
        diverging.fit((X, X[:, :1]), epochs=2, callbacks=[keep], verbose=False)
    assert diverging.steps == 1
    arrays, _ = read_arrays(tmp_path / "checkpoint" / "step_0000000001.safetensors")
    assert np.isfinite(arrays["run/params/0_dense/W"]).all()
    np.testing.assert_array_equal(arrays["run/params/0_dense/W"], diverging.run.params["0_dense"]["W"])
    np.testing.assert_array_equal(arrays["run/step"], [1, 1])
