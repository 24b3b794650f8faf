"""Experiments: everything Python describes survives TOML, and every slip is named with its place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import denpa as dp
from denpa.lab import DataConfig, Experiment, Run, TrainingConfig, diagnose, presets, toml
from denpa.lab.presets import convolution
from denpa.lab.sources import Look
from denpa.training import EarlyStopping

CLASSES = Look("classification", (5, 3, 1), 4, 200)
VALUES = Look("regression", (7,), 2, 50, encoded=True, center=12.5)
IMAGES = Look("classification", (227, 227, 3), 4, 200)
UNTRAINED = dp.Model([dp.Dense(1)], dp.MeanSquaredError())
TWO = Look("classification", (5,), 2, 200)
OWN = Look("reconstruction", (8, 9, 3), 8, 200, target_shape=(8, 9, 3))
CLEANED = Look("regression", (8, 9, 3), 8, 200, target_shape=(8, 9, 1))
LOOKS = dict.fromkeys(convolution.PRESETS, (IMAGES,)) | {"denoise-convolution": (CLEANED,)}
LOOKS |= dict.fromkeys(("logistic-regression", "perceptron", "quadratic-discriminant"), (TWO,))


def experiment(**changes):
    parts = {
        "network": dp.Sequential([dp.Dense(4), dp.ReLU(), dp.Dense(2)]),
        "loss": dp.SoftmaxCrossEntropy(),
        "data": DataConfig("moons"),
    }
    return Experiment(**parts | changes)


def graph():
    x = dp.Input()
    h = dp.Dense(6, kernel_init=dp.init.Orthogonal())(x, name="first")
    return dp.Graph(x, dp.Dense(3)(dp.Add()(h, dp.Tanh()(h))))


RICH = experiment(
    network=graph(),
    loss=dp.MeanSquaredError(half=False),
    data=DataConfig(
        "höhen.csv",
        target="höhe [m]",
        missing={"alter": "mean", "farbe": "category"},
        ignore=["id", 'quo"te'],
        validation=0.25,
        test=0,
        options={"delimiter": ";", "missing_values": ["", "-"]},
    ),
    optimizer=dp.chain(
        dp.ClipByNorm(1.0), dp.Adam(dp.schedules.WarmUp(dp.schedules.CosineDecay(1e-3, 1e-7, 900), 20), beta1=0.8)
    ),
    metrics=[dp.R2(3.0), dp.MeanAbsoluteError()],
    penalty=dp.ElasticNet(1e-4, 1e-5),
    normalizer=dp.Pipeline([dp.MinMax(-1, 1), dp.Standardize(epsilon=1e-6)]),
    target_normalizer=dp.Standardize(),
    training=TrainingConfig(7, "full", seed=3, early_stopping=EarlyStopping(patience=2, monitor="validation_r2")),
    name="reich an Teilen",
)


def from_toml(text, tmp_path, name="config.toml"):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return Experiment.from_toml(path)


def made(name, look, tmp_path, **options):
    data = DataConfig("x.npz", validation=0.2) if presets.find(name).wants_data else None
    return presets.build(name, presets.Options(**options), data, look)


@pytest.mark.parametrize(
    ("name", "look"),
    [
        (name, look)
        for name in presets.PRESETS
        for look in LOOKS.get(name, (CLASSES, VALUES, OWN))
        if presets.find(name).task in (None if look is not OWN else "", look.task)
    ],
    ids=lambda value: value if isinstance(value, str) else value.task,
)
def test_every_preset_survives_toml(name, look, tmp_path):
    whole = made(name, look, tmp_path)
    assert from_toml(whole.to_toml(), tmp_path) == whole


def test_what_python_can_describe_toml_can(tmp_path):
    assert from_toml(RICH.to_toml(), tmp_path) == RICH
    assert hash(from_toml(RICH.to_toml(), tmp_path)) == hash(RICH)


@given(
    text=st.text(min_size=1, max_size=20),
    rate=st.floats(1e-12, 1e6),
    seed=st.integers(0, 2**40),
    named=st.booleans(),
)
def test_any_text_and_number_survives_toml(text, rate, seed, named, tmp_path_factory):
    dense = dp.Dense(3)
    given_ = experiment(
        network=dp.Sequential([("first", dense) if named else dense]),
        data=DataConfig("t.csv", target=text, missing=[[text, "mean"]]),
        optimizer=dp.SGD(rate),
        training=TrainingConfig(seed=seed),
    )
    assert from_toml(given_.to_toml(), tmp_path_factory.mktemp("toml")) == given_


def test_the_toml_says_nothing_that_goes_without_saying():
    config = tomllib.loads(experiment().to_toml())
    assert config == {
        "name": "experiment",
        "network": {
            "type": "Sequential",
            "layers": [{"type": "Dense", "units": 4}, {"type": "ReLU"}, {"type": "Dense", "units": 2}],
        },
        "loss": {"type": "SoftmaxCrossEntropy"},
        "data": {"source": "moons"},
    }


def test_a_byte_order_mark_in_front_is_skipped(tmp_path):
    (tmp_path / "one.toml").write_text("\ufeffepochs = 3\n", "utf-8")
    assert toml.load(tmp_path / "one.toml") == {"epochs": 3}


def test_a_config_without_a_name_is_called_like_its_file(tmp_path):
    text = experiment().to_toml().replace('name = "experiment"\n', "")
    assert from_toml(text, tmp_path, "mine.toml").name == "mine"


SLIPS = {
    "trainin = 3": "An experiment has no part 'trainin': did you mean 'training'",
    "[training]\nepohs = 3": "no option 'epohs' at training: did you mean 'epochs'",
    "[data]\nsource = 'moons'\nvalidaton = 0.1": "no option 'validaton' at data: did you mean 'validation'",
    "[optimizer]\ntype = 'Adamm'": "'Adamm' at optimizer: did you mean 'Adam'",
    "[penalty]\ntype = 'L2'\nstrenth = 1.0": "at penalty: did you mean 'strength'",
    "[optimizer]\ntype = 'SGD'\nlearning_rate = -0.1": "learning_rate must be positive",
    "[optimizer]\nlearning_rate = 0.1": "Missing 'type' at optimizer",
    "[penalty]\ntype = 'Adam'": "penalty must be a penalty such as L2",
    "[training]\nepochs = 0": "training.epochs must be a whole number, 1 or more",
    "[training]\nepochs = 2.5": "epochs must be an integer",
    "[training]\nbatch_size = 'half'": 'batch_size, if not "full", must be a whole number, 1 or more',
    "[training]\nshuffle = 'no'": "true or false",
    "[data]\nsource = 'moons'\ntest = 1.0": "from 0 to below 1",
    "[data]\nsource = 'moons'\nseed = -1": "data.seed",
    "training = 5": "training must be a table of options",
    "metrics = [{type = 'Acuracy'}]": r"'Acuracy' at metrics\[0\]: did you mean 'Accuracy'",
    "metrics = [{type = 'Adam'}]": "metrics must be a list of metrics",
    "name = 'a/b'": "name of a folder",
    "[training.early_stopping]\ntype = 'EarlyStopping'": "data.validation",
    "x = [": "is not TOML",
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_named_with_its_place(slip, tmp_path):
    head = '[network]\ntype = "Sequential"\nlayers = [{ type = "Dense", units = 2 }]\n'
    head += '[loss]\ntype = "SoftmaxCrossEntropy"\n'
    data = "" if "[data]" in slip else '[data]\nsource = "moons"\n'
    table = slip.startswith("[")
    text = f"{head}{data}{slip}\n" if table else f"{slip}\n{head}{data}"
    with pytest.raises(dp.ConfigError, match=SLIPS[slip]) as error:
        from_toml(text, tmp_path)
    assert "config.toml" in str(error.value)


def test_a_missing_part_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(dp.ConfigError, match="'loss' and 'data'"):
        from_toml('[network]\ntype = "Sequential"\n', tmp_path)
    with pytest.raises(dp.ConfigError, match="cannot be read"):
        Experiment.from_toml(tmp_path / "none.toml")


def test_early_stopping_watches_only_what_there_will_be():
    data = DataConfig("moons", validation=0.2)
    training = TrainingConfig(early_stopping=EarlyStopping(monitor="validation_acuracy"))
    with pytest.raises(dp.ConfigError, match="validation_accuracy, not 'validation_acuracy'"):
        experiment(data=data, training=training, metrics=[dp.Accuracy()])
    watched = TrainingConfig(early_stopping=EarlyStopping(monitor="validation_accuracy"))
    assert experiment(data=data, training=watched, metrics=[dp.Accuracy()]).training == watched


def test_early_stopping_by_the_training_error_needs_no_validation_part():
    data, rule = DataConfig("xor"), EarlyStopping(monitor="loss", stopping_threshold=0.01)
    watched = TrainingConfig(early_stopping=rule)
    assert experiment(data=data, training=watched).training == watched
    with pytest.raises(dp.ConfigError, match="needs validation data"):
        experiment(data=data, training=TrainingConfig(early_stopping=rule.replace(retrain="continue")))


def test_options_may_be_written_as_a_dict():
    assert DataConfig("moons", options={"n": 5, "noise": 0.5}) == DataConfig(
        "moons", options=[("n", 5), ("noise", 0.5)]
    )


def test_the_config_of_the_documentation_is_one():
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
    config = tomllib.loads(re.search(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1])
    written = Experiment.from_config(config)
    assert written.optimizer == dp.Adam(dp.schedules.CosineDecay(0.01, 0.0001, 2400))
    assert written.training.early_stopping == EarlyStopping(20)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Run(3), "Run wants an Experiment, such as .* not 3"),
        (lambda: Experiment.from_toml(None), "A file is named by a text or a path"),
        (lambda: Experiment.from_config(3), "described by a dict of its parts, not by int"),
        (lambda: diagnose(3, None), "diagnose wants a Model, not 3"),
        (lambda: diagnose(UNTRAINED, None, examples=0), "examples must be a whole number, 1 or more, not 0"),
        (lambda: dp.Bagging(UNTRAINED, 2, bootstrap="no"), "bootstrap must be true or false, not 'no'"),
    ],
)
def test_what_is_no_experiment_and_no_model(make, message):
    with pytest.raises(dp.ConfigError, match=message):
        make()
