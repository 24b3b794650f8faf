"""Bad usage and bad input: exit status 2, one paragraph on stderr, nothing written."""

from __future__ import annotations

import os
import re
import shutil
import sys

import numpy as np
import pytest

from denpa.cli.main import main
from denpa.lab.run_folder import RunFolder

RNG = np.random.default_rng(8)
X, T = RNG.normal(size=(40, 3)), np.arange(40) % 3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run on arrays."""
    folder = tmp_path_factory.mktemp("bad")
    np.savez(folder / "a.npz", x=X, t=T)
    words = ["train", "mlp", "--data", str(folder / "a.npz"), "--run", str(folder / "run"), "--epochs", "1"]
    assert main([*words, "--hidden", "4", "--progress", "none"]) == 0
    return folder / "run"


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Runs a command that must be refused, and gives the complaint."""
    monkeypatch.chdir(tmp_path)

    def attempt(*words):
        before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
        folders = sorted(tmp_path.rglob("*"))
        status = main(list(words))
        _, err = capsys.readouterr()
        assert status == 2, err
        assert err.startswith("denpa: ")
        assert len(err.splitlines()) == 1
        assert "Traceback" not in err
        assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
        assert sorted(tmp_path.rglob("*")) == folders
        return err

    return attempt


USAGE = {
    "trian": "did you mean 'train'",
    "train": "wants PRESET or CONFIG.toml",
    "train digits-mpl": "did you mean 'digits-mlp'",
    "train no/such.toml": "cannot be read",
    "train xor extra": "One word too many: 'extra'",
    "train xor --training.frozen a b": """A list is one word: --training.frozen '["a", "b"]'.""",
    "train xor --data.options.size 28 32": "A list is one word: --data.options.size '[28, 32]'.",
    "train xor --epoch 3": "did you mean '--epochs'",
    "train xor --epochs": "--epochs",
    "train xor --folds 3": "denpa train has no option '--folds', which is for denpa cv and denpa sweep",
    "train xor --epochs 3 --training.epochs 4": "--epochs and --training.epochs are the same option",
    "train xor --epochs many": "training.epochs must be an integer, not 'many'",
    "train xor --epochs 0": "1 or more, not 0",
    "train xor --pretrain 0": "training.pretrain must be a whole number, 1 or more, not 0",
    "train xor --pretrain 2 --initial-weights old": "both set where to start",
    "train softmax-regression --pretrain 2": "two layers with weights",
    "cv softmax-regression --pretrain 2": "two layers with weights",
    "train xor --training.epohs 3": "did you mean 'epochs'",
    "train xor --trainng.epochs 3": "did you mean 'training'",
    "train xor --training.epochs": "wants a value",
    "train xor --learning-rate 0": "greater than 0, not 0",
    "train xor --learning-rate -0.1": "greater than 0, not -0.1",
    "train xor --learning-rate nan": "--learning-rate must be a finite number",
    "train xor --optimizer SGD --learning-rate -1": "learning_rate must be positive",
    "train xor --optimizer adm": "did you mean 'Adam'",
    "train xor --optimizer.beta3 0.5": "did you mean 'beta",
    "train xor --network.layers.0.unts 3": "did you mean 'units'",
    "train xor --network.layers.0 Dens": "did you mean 'Dense'",
    "train xor --network.layers.0.kernel_init ReLU": "'ReLU' is none of the initializers: known initializers: Constant",
    "train xor --data.options 3": "data.options must be a table of options such as {n = 500}, not 3",
    "train xor --training.frozen 3": 'training.frozen must be a list of texts such as ["a", "b"], not 3',
    "train xor --data.ignore [1]": "data.ignore must be a list of texts",
    "train xor --network.layers.7.units 3": "of 3 entries, numbered from 0 to 2, none is",
    "train xor --activation rel": "did you mean 'relu'",
    "train xor --hidden 4 x": "whole numbers of units",
    "train xor --hidden 0": "whole numbers of units",
    "train xor --batch-size 5": "larger than the 4 examples",
    "train xor --batch-size -1": "1 or more",
    "train xor --validation 1.5": "from 0 to below 1",
    "train xor --early-stopping 3": "data.validation",
    "train xor --early-stopping x --validation 0.5": "EarlyStopping.patience must be an integer, not 'x'",
    "train xor --loss MeanSquaredErr": "did you mean 'MeanSquaredError'",
    "train xor --loss BinaryCrossEntropy": "targets",
    "train xor --metrics '[\"TopK\"]'": "TopK",
    "train xor --penalty l3": "There is no 'l3' in denpa: known penalties: ElasticNet, L1, L2",
    "train xor --penalty l2 --strength x": "L2.strength must be a number, not 'x'",
    "train xor --optimizer Chain": "Chain at optimizer: missing 1 option: 'parts'",
    "train xor --seed -1": "0 or more",
    "train xor --progress dots": "Unknown kind of progress",
    "train xor --target y": "data.target is for tables",
    "train xor --data moon": "did you mean 'moons'",
    "train mlp": "--data my.csv --target COLUMN",
    "train mlp --data no.csv --target y": "cannot be read",
    "train --resume nowhere": "no run folder",
    "train xor --resume nowhere": "leave xor out",
    "train --resume nowhere --epochs 3": "leave --training.epochs out",
    "train --resume nowhere --hidden 5 --code 2": "leave --hidden out",
    "train --resume nowhere --activation relu": "leave --activation out",
    "train " + "d" * 300: "File name too long",
    "train .": "'.' is a folder: go on with a run by --resume",
    "train xor --data.missing 3": "data.missing must be a way to treat missing values such as",
    "train xor --data.missing '{a = 3}'": "data.missing must be a way to treat missing values such as",
    "worksheet 2-3-2 --example -1": "--example wants a whole number, 0 or more, not -1",
    "train digits-mlp --data.options.flat no": "flat must be true or false, not 'no'",
    "cv ridge --folds 2 --output no/scores.csv": "Cannot write no/scores.csv: its folder does not exist",
    "cv addition-seq2seq": "pairs of texts: they make no folds",
    "diagnose xor --figure no/xor.png": "its folder does not exist",
    "diagnose xor --figure xor.pngg": "no picture is written as 'pngg': did you mean 'png'",
    "evaluate": "wants RUN",
    "evaluate nowhere": "no run folder and no model file nowhere",
    "predict nowhere --input x.npy": "no run folder and no model file nowhere",
    "predict nowhere": "no run folder and no model file nowhere",
    "list layer": "did you mean 'layers'",
    "list layers extra": "One word too many",
    "check xorr": "did you mean 'xor'",
    "summary": "wants PRESET or CONFIG.toml",
}


@pytest.mark.parametrize("words", USAGE)
def test_bad_usage(words, refused):
    import shlex

    assert USAGE[words] in refused(*shlex.split(words))


ARRAYS = {
    "nan": (np.where(np.arange(120).reshape(40, 3) == 31, np.nan, X), T, "x holds NaN at row 10, column 1"),
    "infinity": (np.where(np.arange(120).reshape(40, 3) == 31, -np.inf, X), T, "infinity at row 10, column 1"),
    "empty": (X[:0], T[:0], "no examples"),
    "rank": (np.float64(3), T, "batch axis"),
    "lengths": (X[:30], T, "30 examples but t has 40"),
    "negative label": (X, T - 1, "but labels go from 0"),
    "one class": (X, T * 0, "one class only"),
    "texts": (X.astype(str), T, "not numeric"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_cannot_be_learned_from(case, refused, tmp_path):
    x, t, message = ARRAYS[case]
    np.savez(tmp_path / "a.npz", x=x, t=t)
    assert message in refused("train", "mlp", "--data", "a.npz")


def test_a_label_outside_the_range_of_the_network(refused, tmp_path):
    np.savez(tmp_path / "a.npz", x=X, t=np.where(np.arange(40) // 2 == 9, 3, T))
    (tmp_path / "c.toml").write_text(
        '[network]\ntype = "Sequential"\nlayers = [{ type = "Dense", units = 3 }]\n'
        '[loss]\ntype = "SoftmaxCrossEntropy"\n[data]\nsource = "a.npz"\n[training]\nepochs = 1\n'
    )
    assert "row 18 of a.npz is 3, but labels go from 0 to 2" in refused("train", "c.toml")


def test_a_metric_that_does_not_fit_a_generative_start_leaves_no_folder(refused, tmp_path):
    np.savez(tmp_path / "a.npz", x=X, t=T)
    words = ("train", "linear-discriminant", "--data", "a.npz", "--metrics", '[{type = "TopK"}]')
    assert "TopK() is always right for outputs of 3 classes" in refused(*words)


TABLES = {
    "a gap": ("a,b,y\n1,2,u\n3,,v\n", "'b' (numeric, line 3)"),
    "a gap, and how": ("a,b,y\n1,2,u\n3,,v\n", "Choose by --missing: 'drop' to"),
    "by column": ("a,b b,y\n1,2,u\n3,,v\n", """by column: --data.missing '{"b b" = "drop"}'"""),
    "a decimal comma": ("a;b;y\n1,5;2;u\n3,1;4;v\n", "--data.options.decimal ','"),
    "thousands in groups": ("a;b;y\n1,500;2;u\n1,003,100;4;v\n", "group thousands, write the numbers without"),
    "two of one name": ("a,a,y\n1,2,u\n3,4,v\n", "or pass --data.options.header false if"),
    "no UTF-8": ("a,b,y\n1,2,\ufffd\n", "--data.options.encoding cp932 (Japanese"),
    "an empty column": ("a,b,y\n1,,u\n3,,v\n", "leave it out by --ignore b"),
    "nan": ("a,b,y\n1,2,u\n3,nan,v\n", "'b' (numeric, line 3)"),
    "infinity": ("a,b,y\n" + "1,2,u\n2,1,v\n" * 10 + "3,inf,v\n", "'inf' on line 22"),
    "a misprint": ("a,b,y\n" + "1,2,u\n2,1,v\n" * 10 + "3,4O,v\n", "'4O' on line 22"),
    "ragged": ("a,b,y\n1,2,u\n3,4\n", "line 3: 2 fields"),
    "header only": ("a,b,y\n", "no rows"),
    "nothing": ("", "is empty"),
    "an open quote": ('a,b,y\n1,2,"u\n3,4,v\n', "line 3: a quoted field does not end"),
    "one class": ("a,b,y\n" + "1,2,u\n2,1,u\n" * 9, "one class only: 'u'"),
    "all in one column": ("a|b|z\n1|2|u\n3|4|v\n", "pass --data.options.delimiter '|' if"),
    "two rows": ("a,y\n1,0.5\n2,0.7\n", "hold none back: --data.test 0 --validation 0"),
    "a target beyond float32": ("a,y\n" + "1,1.5\n2,-1e200\n" * 9, "the target 'y' is -1e+200 on line"),
    "a feature beyond float32": ("a,y\n" + "1e50,1.5\n2e50,2.5\n" * 9, "column 'a' is"),
    "no target": ("a,b,z\n1,2,u\n3,4,v\n", "no column 'y'"),
    "no features": ("y\nu\nv\n", "no column to predict from"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_that_cannot_be_learned_from(case, refused, tmp_path):
    content, message = TABLES[case]
    (tmp_path / "t.csv").write_bytes(content.encode().replace("\ufffd".encode(), b"\xff"))
    said = refused("train", "mlp", "--data", "t.csv", "--target", "y")
    assert message in said
    assert not re.search(r"\b[a-z_]+=", said), "an argument of Python's"


@pytest.mark.parametrize("keep", [0, 4, 400])
def test_a_truncated_file_of_arrays(keep, refused, tmp_path):
    np.savez(tmp_path / "a.npz", x=X, t=T)
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[:keep])
    assert "a.npz is damaged" in refused("train", "mlp", "--data", "a.npz")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4)), "Each example has 4 features, but the network was made for 3"),
        (np.zeros((3, 3, 1)), "Each example has shape (3, 1), but the network was made for (3,)"),
        (np.float64(1), "batch axis"),
        (np.zeros((0, 3)), "no examples"),
        (np.array([[1, 2, np.nan]]), "NaN at row 0, column 2"),
    ],
)
def test_input_that_does_not_fit_the_model(array, message, refused, run, tmp_path):
    np.save(tmp_path / "x.npy", array)
    assert message in refused("predict", str(run), "--input", "x.npy", "--output", "p.csv")


@pytest.mark.parametrize("words", ["predict --input a.npy", "predict --input a.npz", "evaluate --data a.npz"])
def test_arrays_are_no_input_of_a_model_of_a_table_which_would_take_them_for_scaled_columns(words, refused, tmp_path):
    rows = [f"{1000 * a},{b},{'xyz'[t]}" for (a, b, _), t in zip(X, T, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *rows]) + "\n")
    np.save(tmp_path / "a.npy", X[:, :2] * [1000, 1])
    np.savez(tmp_path / "a.npz", x=X[:, :2] * [1000, 1], t=np.array(list("xyz"))[T])
    asked = ["--data", "t.csv", "--target", "y", "--run", "run", "--epochs", "1", "--progress", "none"]
    assert main(["train", "mlp", *asked]) == 0
    command, *rest = words.split()
    assert "is no table, but this model was trained on one" in refused(command, "run", *rest)
    assert "with the columns a, b." in refused(command, "run", *rest)


@pytest.mark.parametrize("command", ["predict --input", "evaluate --data"])
@pytest.mark.parametrize("name", ["nofile.csv", "nofile.parquet", "nofile.npy"])
def test_a_file_that_is_not_there_is_told_before_its_kind(command, name, refused, run):
    command, option = command.split()
    assert f"{name} cannot be read: there is no such file" in refused(command, str(run), option, name)


def test_a_model_file_that_is_none(refused, run, tmp_path):
    whole = (run / "model.safetensors").read_bytes()
    (tmp_path / "t.csv").write_text("a\n1\n")
    (tmp_path / "cut.safetensors").write_bytes(whole[:-9])
    (tmp_path / "head.safetensors").write_bytes(whole[:50])
    (tmp_path / "bent.safetensors").write_bytes(whole[:100] + b"\xff" * 20 + whole[120:])
    assert "t.csv holds data: name first the run" in refused("predict", "t.csv", "--input", "x.npy")
    for name in ("cut.safetensors", "head.safetensors", "bent.safetensors"):
        assert f"{name} is damaged, cut off, or not a model file" in refused("predict", name, "--input", "x.npy")
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "model.safetensors").write_bytes(whole[:-9])
    assert "damaged" in refused("evaluate", "run")


def test_options_that_a_run_has_already(refused, run):
    said = refused("summary", str(run), "--epochs", "3")
    assert "has been trained, with options of its own: leave --training.epochs out" in said
    assert "leave --hidden out" in refused("diagnose", str(run), "--data", "a.npz", "--hidden", "3")
    for command, option in (
        ("evaluate", "--data"),
        ("predict", "--input"),
        ("diagnose", "--data"),
        ("landscape", "--data"),
    ):
        assert "leave --optimizer.beta1 out" in refused(command, str(run), option, "a.npz", "--optimizer.beta1", "0.5")
        said = refused(command, str(run), option, "a.npz", "--data.options.decimal", ",")
        assert "a.npz has no option 'decimal': it has no options" in said
    for command in ("evaluate", "diagnose", "landscape"):
        assert "name them by --data FILE" in refused(command, str(run), "--data.options.decimal", ",")
    assert "valley has none" in refused("landscape", "valley", "--data.options.decimal", ",")


def test_a_run_that_has_not_finished(refused, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "model.safetensors").unlink()
    assert "denpa train --resume run" in refused("predict", "run", "--input", "x.npy")
    assert not RunFolder(tmp_path / "run").finished  # and resuming makes the model again
    (tmp_path / "run" / "model.safetensors").touch()
    (tmp_path / "run" / "results.json").write_text("[]")
    assert "results.json is damaged: it holds list" in refused("train", "--resume", "run")


def test_a_damaged_config(refused, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    (tmp_path / "run" / "config.toml").write_text("[network\n")
    assert "is not TOML" in refused("train", "--resume", "run")


def test_files_of_other_kinds(refused, run, tmp_path):
    for name, hint in (("t.xlsx", "Save the sheet as CSV"), ("t.zip", "Unpack it first"), ("t.jpg", "Name the folder")):
        (tmp_path / name).write_bytes(b"PK")
        told = refused("train", "mlp", "--data", name, "--target", "y")
        assert f"{name}: data come from .csv" in told
        assert hint in told
    assert "not as .xlsx" in refused("predict", str(run), "--input", "x.npy", "--output", "p.xlsx")


def test_a_warning_is_told_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("n,a,y\n" + "".join(f"{i},7,{i % 3}.5\n" for i in range(12)))
    main(["cv", "ridge", "--data", "t.csv", "--target", "y", "--folds", "20"])
    assert [line.split("; ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "denpa: warning: t.csv: column 'n' looks like an identifier",
        "denpa: warning: t.csv: column 'a' has one value only, 7.0",
        "denpa: Cannot make 20 folds of 10 examples: each fold needs at least one.",
    ]


def test_a_place_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "file").write_text("x")
    assert "Cannot make the run folder file/run" in refused("train", "xor", "--epochs", "1", "--run", "file/run")
    assert "no run folder: choose another place" in refused("train", "xor", "--run", "file")


def test_a_full_disk_before_training(refused, monkeypatch):
    import errno

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert "the disk is full" in refused("train", "xor", "--epochs", "1", "--run", "run")


@pytest.mark.parametrize(("number", "reason"), [("EROFS", "read-only"), ("EACCES", "permission denied")])
def test_a_folder_that_is_read_only(number, reason, refused, run, monkeypatch):
    """The tests may run as root, whom no folder refuses."""
    import errno

    def forbidden(*path, **options):
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))

    opened = os.open
    np.save("x.npy", X)
    monkeypatch.setattr(
        "os.open", lambda path, flags, *more: (forbidden if flags & os.O_CREAT else opened)(path, flags, *more)
    )
    assert reason in refused("predict", str(run), "--input", "x.npy", "--output", "p.csv")
    assert reason in refused("worksheet", "2-3-2", "--output", "w.html")
    monkeypatch.setattr("os.mkdir", forbidden)
    assert "Cannot make the run folder" in refused("train", "xor", "--epochs", "1", "--run", "run")
    assert "Cannot make the folder new" in refused("landscape", "valley", "--steps", "1", "--output", "new")


def test_devices_that_are_not_there(refused, monkeypatch):
    """JAX tells of them by a RuntimeError, or by an assertion where nobody knows the platform."""

    def none(*_):
        raise AssertionError

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr("jax.devices", none)
    monkeypatch.setattr("denpa.cli.commands.list_of", none)
    said = refused("list")
    assert "no device for JAX_PLATFORMS=cuda. Here it has cpu" in said
    assert "set JAX_PLATFORMS=cpu, or unset it" in said
    assert 'pip install -U "jax[cuda12]"' in said


def test_windows_for_pictures_are_never_wanted(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    assert main(["--version"]) == 0
    assert "MPLBACKEND" not in os.environ


def test_the_input_is_not_replaced_by_its_predictions(run, refused, tmp_path):
    (tmp_path / "a.csv").write_text("x0,x1,x2\n1,2,3\n")
    complaint = refused("predict", str(run), "--input", "a.csv", "--output", "./a.csv", "--overwrite")
    assert "is the input" in complaint


def test_damaged_results_of_a_finished_run(run, refused, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "results.json").write_text('{"test": 3}')
    assert "results.json is damaged" in refused("train", "--resume", "run")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_in_another_encoding_is_refused_and_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = os.fsdecode("表.csv".encode("cp932"))
    with open(source, "w") as file:
        file.write("a,b,label\n" + "1,2,x\n3,1,y\n" * 20)
    assert main(["train", "mlp", "--data", source, "--target", "label", "--run", "run", "--progress", "none"]) == 2
    assert "is no UTF-8. Rename" in capsys.readouterr().err
    assert os.listdir() == [source]
