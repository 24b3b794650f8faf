"""Saved models: the same numbers come back, strictly checked, and nothing is run."""

from __future__ import annotations

import json
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core import description as registry
from denpa.core.layer import Context, Layer
from denpa.training.storage import read_arrays, write_arrays
from tests.training.common import DATA, QUIET, RANDOM_NET, bits, model


@pytest.fixture(scope="module")
def trained():
    made = model(
        RANDOM_NET,
        optimizer=dp.chain(dp.ClipByNorm(1.0), dp.Adam(dp.schedules.LinearDecay(0.01, 0.001, 9))),
        metrics=[dp.Accuracy(), dp.TopK(2)],
        penalty=dp.L2(1e-3),
        normalizer=dp.Pipeline((dp.Standardize(), dp.MinMax())),
        seed=7,
        class_names=["a", "b", "c"],
    )
    made.fit(dp.Dataset(*DATA, feature_names=("p", "q", "r", "s")), epochs=2, **QUIET)
    return made


@pytest.fixture
def path(trained, tmp_path):
    trained.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_everything_comes_back(trained, path):
    loaded = dp.load(path)
    assert bits(loaded.variables) == bits(trained.variables)
    assert bits(loaded.statistics) == bits(trained.statistics)
    for name in ("net", "loss", "optimizer", "metrics", "penalty", "normalizer", "seed", "in_shape", "class_names"):
        assert getattr(loaded, name) == getattr(trained, name)
    assert loaded.feature_names == ("p", "q", "r", "s")
    assert (loaded.steps, loaded.epochs) == (trained.steps, trained.epochs) == (8, 2)
    assert repr(loaded) == repr(trained)
    np.testing.assert_array_equal(loaded.predict(DATA[0]), trained.predict(DATA[0]))
    assert loaded.evaluate(DATA) == trained.evaluate(DATA)


def test_the_same_model_makes_the_same_bytes(trained, path, tmp_path):
    first = path.read_bytes()
    trained.save(path)
    assert path.read_bytes() == first
    dp.load(path).save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == first


def test_a_loaded_model_goes_on_as_if_it_had_never_been_away(tmp_path):
    """With an optimiser that remembers nothing; the masks and the orders go on too."""
    straight, first = model(RANDOM_NET), model(RANDOM_NET)
    straight.fit(DATA, epochs=5, **QUIET)
    first.fit(DATA, epochs=2, **QUIET)
    first.save(tmp_path / "m.safetensors")
    second = dp.load(tmp_path / "m.safetensors")
    second.fit(DATA, epochs=3, **QUIET)
    assert bits(second.variables) == bits(straight.variables)


def test_a_run_folder_stands_for_its_model(path):
    assert dp.load(path.parent).steps == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("params/0_dense/b"), "params/0_dense/b is missing"),
        (lambda a: a.pop("state/1_batchnorm/var"), "state/1_batchnorm/var is missing"),
        (lambda a: a.update({"params/9/W": np.ones(2, np.float32)}), "params/9/W is extra"),
        (
            lambda a: a.update({"params/0_dense/W": np.ones((6, 4), np.float32)}),
            r"params/0_dense/W has shape \(6, 4\) instead of \(4, 6\)",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_all_listed(path, change, message):
    arrays, description = read_arrays(path)
    change(arrays)
    write_arrays(path, arrays, description)
    with pytest.raises(dp.FileFormatError, match=f"does not fit its own description: {message}"):
        dp.load(path)
    arrays.pop("params/4_dense/b")
    write_arrays(path, arrays, description)
    with pytest.raises(dp.FileFormatError, match=r"params/4_dense/b is missing") as caught:
        dp.load(path)
    assert message.split(" ")[0] in str(caught.value)


def rewritten(path, change):
    """The file as another program writes it that changes arrays and hands the header on as it is."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    arrays = load_file(path)
    with safe_open(path, framework="numpy") as file:
        header = file.metadata()
    change(arrays)
    save_file(arrays, path, header)


def test_all_that_another_program_lost_added_or_reshaped_is_listed(path):
    def change(arrays):
        del arrays["params/0_dense/W"], arrays["statistics/1_minmax/range"]
        arrays["params/0_dense/b"] = np.zeros(9, np.float32)
        arrays["params/extra/W"] = np.zeros(3, np.float32)

    rewritten(path, change)
    with pytest.raises(dp.FileFormatError) as caught:
        dp.load(path)
    listed = str(caught.value).partition("does not fit its own description: ")[2].rstrip(".").split("; ")
    assert sorted(listed) == [
        "params/0_dense/W is missing",
        "params/0_dense/b has shape (9,) instead of (6,)",
        "params/extra/W is extra",
        "statistics/1_minmax/range is missing",
    ]


def test_other_numbers_in_the_same_shapes_are_damage(path):
    rewritten(path, lambda arrays: arrays.update({"params/0_dense/b": np.ones(6, np.float32)}))
    with pytest.raises(dp.FileFormatError, match="is damaged: its numbers are not those that were written"):
        dp.load(path)


@pytest.mark.parametrize("place", range(50, 3050, 500))
def test_a_flipped_bit_in_the_header_is_a_file_format_error(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(dp.FileFormatError, match=r"model\.safetensors"):
        dp.load(path)


@pytest.mark.parametrize("part", [0, 5, 8, 100, 0.3, 0.999])
def test_a_file_cut_off_anywhere_is_refused(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content)) if isinstance(part, float) else part])
    with pytest.raises(dp.FileFormatError, match=r"model\.safetensors is damaged, cut off, or not a model file"):
        dp.load(path)


def test_damaged_and_foreign_files_are_refused(path, tmp_path):
    from safetensors.numpy import save_file

    content = path.read_bytes()
    path.write_bytes(b"\xff" * 20 + content[20:])
    with pytest.raises(dp.FileFormatError, match="is damaged"):
        dp.load(path)
    text = tmp_path / "notes.txt"
    text.write_text("These are not the numbers you are looking for. " * 9)
    with pytest.raises(dp.FileFormatError, match=r"notes\.txt is damaged, cut off, or not a model file"):
        dp.load(text)
    with pytest.raises(dp.FileFormatError, match="There is no file"):
        dp.load(tmp_path / "nowhere.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(dp.FileFormatError, match=r"There is no file .*empty"):
        dp.load(tmp_path / "empty")
    save_file({"W": np.ones(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(dp.FileFormatError, match="not one that denpa wrote"):
        dp.load(tmp_path / "foreign.safetensors")
    save_file({"W": np.ones(3)}, tmp_path / "foreign.safetensors", {"denpa": "{not json"})
    with pytest.raises(dp.FileFormatError, match="is damaged"):
        dp.load(tmp_path / "foreign.safetensors")
    save_file({"W": np.ones(3)}, tmp_path / "foreign.safetensors", {"denpa": "[1, 2]"})
    with pytest.raises(dp.FileFormatError, match="its description is list"):
        dp.load(tmp_path / "foreign.safetensors")


def test_a_checkpoint_is_no_model(tmp_path):
    model().fit(DATA, epochs=1, callbacks=[dp.Checkpoint(tmp_path)], **QUIET)
    (path,) = tmp_path.rglob("*.safetensors")
    with pytest.raises(dp.FileFormatError, match="holds no model but a checkpoint"):
        dp.load(path)


def test_a_format_to_come_is_refused(path):
    arrays, description = read_arrays(path)
    write_arrays(path, arrays, description | {"format": 2, "model": {"something": "new"}})
    with pytest.raises(dp.FileFormatError, match="has format 2, which needs a newer denpa"):
        dp.load(path)


@pytest.mark.parametrize("broken", [{"network": None}, {"seed": "seven"}, None, "network", "steps"])
def test_a_damaged_description_is_refused(path, broken):
    arrays, description = read_arrays(path)
    if broken is None:
        del description["model"]
    elif isinstance(broken, str):
        del description["model"][broken]
    else:
        description["model"] |= broken
    write_arrays(path, arrays, description)
    with pytest.raises(dp.DenpaError, match=r"model\.safetensors"):
        dp.load(path)


def deep(levels):
    config = {"type": "Dense", "units": 3}
    for _ in range(levels):
        config = {"type": "Sequential", "layers": [config]}
    return config


@pytest.mark.parametrize(
    "broken",
    [
        {"steps": "many"},
        {"steps": 10**30},
        {"steps": -1},
        {"epochs": True},
        {"epochs": [2]},
        {"in_shape": "four"},
        {"in_shape": [4.5]},
        {"in_shape": [4, 4]},
        {"in_shape": None},
        {"feature_names": {"predict": 1}},
        {"network": deep(450)},
    ],
)
def test_values_of_other_kinds_are_damage(path, broken):
    arrays, description = read_arrays(path)
    description["model"] |= broken
    write_arrays(path, arrays, description)
    with pytest.raises(dp.FileFormatError, match=r"model\.safetensors: the description of its model is damaged"):
        dp.load(path)


def test_names_that_nobody_knows_become_no_attributes(path):
    arrays, description = read_arrays(path)
    description["model"] |= {"predict": "mine", "run": 7}
    write_arrays(path, arrays, description)
    assert dp.load(path).predict(DATA[0]).shape == (20, 3)


@dataclass(frozen=True)
class Swirl(Layer):
    """A user's own layer with forward alone, a field and parameters."""

    turns: float = 2.0

    def init(self, key, in_shape):
        return {"phase": jnp.full(in_shape, 0.5)}

    def forward(self, params, x, ctx=Context()):
        return jnp.sin(self.turns * x + params["phase"]), {}


def test_a_layer_of_ones_own_is_saved_by_its_name(tmp_path):
    own = model(dp.Sequential([dp.Dense(4), Swirl(3), dp.Dense(3)]))
    own.fit(DATA, epochs=1, **QUIET)
    own.save(tmp_path / "m.safetensors")
    loaded = dp.load(tmp_path / "m.safetensors")
    assert loaded.net.layers[1] == Swirl(3.0)
    np.testing.assert_array_equal(loaded.predict(DATA[0]), own.predict(DATA[0]))
    known = registry._registry.pop("Swirl")
    try:
        with pytest.raises(dp.ConfigError, match=r"Unknown .*'Swirl'.*must be defined before loading"):
            dp.load(tmp_path / "m.safetensors")
    finally:
        registry._registry["Swirl"] = known


@pytest.mark.parametrize("name", ["os.system", "subprocess.Popen", "Path", "eval", "Model", "Layer", "SGD"])
def test_only_descriptions_of_the_right_kind_are_made(path, name):
    """A name in a file reaches the registry of descriptions and nothing else."""
    arrays, description = read_arrays(path)
    description["model"]["network"] = {"type": name, "layers": ["rm -rf /"]}
    write_arrays(path, arrays, description)
    with pytest.raises(dp.ConfigError, match=f"Unknown network '{name}'"):
        dp.load(path)


def test_the_file_is_arrays_and_one_text(path):
    arrays, description = read_arrays(path)
    assert {name.split("/")[0] for name in arrays} == {"params", "state", "statistics"}
    assert {a.dtype for a in arrays.values()} == {np.dtype("float32")}
    assert json.loads(json.dumps(description)) == description
    assert description["model"]["network"]["type"] == "Sequential"


def test_there_must_be_something_to_save(tmp_path):
    with pytest.raises(dp.ConfigError, match="no parameters yet"):
        model().save(tmp_path / "m.safetensors")
    built = model(in_shape=(4,))
    built.save(tmp_path / "m.safetensors")
    assert bits(dp.load(tmp_path / "m.safetensors").variables) == bits(built.variables)


def test_a_part_that_cannot_be_described_is_refused(tmp_path):
    class Odd:
        reduction, expects, threshold = "mean", "values", None
        value = staticmethod(lambda y, t, w=None: jnp.mean((y - t) ** 2))
        delta = staticmethod(lambda y, t, w=None: 2 * (y - t) / y.size)

    odd = dp.Model([dp.Dense(1)], Odd(), in_shape=(4,))
    with pytest.raises(dp.ConfigError, match="cannot be written to a file: derive its class from one of denpa's"):
        odd.save(tmp_path / "m.safetensors")
