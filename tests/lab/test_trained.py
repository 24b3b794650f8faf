"""A finished run put to use: raw files in the form that its data had."""

from __future__ import annotations

import csv
import io
import shutil

import numpy as np
import pytest

import denpa as dp
from denpa.lab import DataConfig, Experiment, Run, TrainingConfig
from denpa.lab.trained import Trained, predictions_csv
from denpa.training import Model

RNG = np.random.default_rng(11)
HEAD = "age,colour,size,ok\n"


def rows(n):
    lines = []
    for _ in range(n):
        age, colour, size = RNG.integers(18, 80), RNG.choice(["red", "green"]), RNG.normal(10, 3)
        ok = "yes" if (age > 45) == (colour == "red") else "no"
        lines.append(f"{age},{colour},{size:.2f},{ok}")
    return lines


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    lines = rows(160)
    lines[7] = "33,,11.5,no"
    (folder / "t.csv").write_text(HEAD.replace(",", ";") + "\n".join(lines).replace(",", ";"))
    experiment = Experiment(
        dp.Sequential([dp.Dense(8), dp.ReLU(), dp.Dense(2)]),
        dp.SoftmaxCrossEntropy(),
        DataConfig(str(folder / "t.csv"), "ok", missing=["mean", "category"], options={"delimiter": ";"}),
        dp.Adam(0.03),
        (dp.Accuracy(),),
        training=TrainingConfig(60, 32),
    )
    run = Run(experiment, folder / "run")
    run.measured = run.go(verbose=False)
    return Trained.of(folder / "run"), run, folder


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_test_part_is_that_of_the_run(trained):
    ours, run, _ = trained
    np.testing.assert_array_equal(ours.test_part().x, run.data.test.x)
    assert ours.model.evaluate(ours.test_part())["accuracy"] == run.measured.numbers["accuracy"] > 0.9


def test_a_damaged_model_of_a_run_can_be_made_again(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained[2] / "run", folder)
    model = folder / "model.safetensors"
    whole = model.read_bytes()
    model.write_bytes(whole[:-1])
    with pytest.raises(
        dp.FileFormatError, match=r"model\.safetensors is damaged.* Without it, denpa train --resume .*run "
    ):
        Trained.of(folder)
    model.unlink()
    Run.resume(folder).go(verbose=False)
    assert model.read_bytes() == whole


def test_files_of_two_runs_are_refused(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained[2] / "run", folder)
    other = Model(dp.Sequential([dp.Dense(9), dp.ReLU(), dp.Dense(2)]), dp.SoftmaxCrossEntropy())
    other.build((5,))
    other.save(folder / "model.safetensors")
    with pytest.raises(dp.FileFormatError, match=r"model\.safetensors and .*config\.toml are of two runs"):
        Trained.of(folder)
    assert Trained.of(folder / "model.safetensors").folder is None


def test_raw_tables_are_encoded_as_in_training(trained, tmp_path):
    ours, run, _ = trained
    path = tmp_path / "new.csv"
    path.write_text("note;size;colour;age\nx;11.5;;33\ny;9;red;60\nz;8.1;green;60\n")  # other order, no target, a gap
    x, names = ours.examples(str(path))
    assert names is None
    statistics, encoder = run.data.encoder_arrays, run.data.encoder
    age = (33 - statistics["mean"][0]) * statistics["inverse_scale"][0]
    np.testing.assert_allclose(x[0, 0], age, rtol=1e-6)
    assert dict(zip(encoder.feature_names, x[0], strict=True))["colour=(missing)"] == 1
    predicted = read(predictions_csv(ours.model, x))
    assert [row["predicted"] for row in predicted[1:]] == ["yes", "no"]
    assert float(predicted[1]["probability_no"]) + float(predicted[1]["probability_yes"]) == pytest.approx(1)
    np.testing.assert_allclose(
        [float(row["probability_yes"]) for row in predicted], ours.model.predict_probabilities(x)[:, 1], rtol=1e-6
    )


def test_a_model_file_alone_reads_raw_tables_too(trained, tmp_path):
    _, run, _ = trained
    alone = Trained.of(run.folder.model)
    path = tmp_path / "new.csv"
    path.write_text("age;colour;size\n60;red;9\n")
    assert read(predictions_csv(alone.model, alone.examples(str(path))[0]))[0]["predicted"] == "yes"
    path.write_text("age,colour,size\n60,red,9\n")
    with pytest.raises(dp.DataError, match="pass delimiter=',' if that separates columns"):
        alone.examples(str(path))
    for one in (alone, trained[0]):
        assert len(one.examples(str(path), delimiter=",")[0]) == 1
        with pytest.raises(dp.ConfigError, match="'delimeter': did you mean 'delimiter'"):
            one.examples(str(path), delimeter=",")
    with pytest.raises(dp.ConfigError, match="no test data"):
        alone.test_part()


def test_other_examples_with_targets(trained, tmp_path):
    ours, _, _ = trained
    path = tmp_path / "more.csv"
    path.write_text((HEAD + "\n".join(rows(50))).replace(",", ";"))
    more = ours.labelled(str(path))
    assert ours.model.evaluate(more)["accuracy"] > 0.9
    path.write_text("age;colour;size\n60;red;9\n")
    with pytest.raises(dp.DataError, match="no column of targets"):
        ours.labelled(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("age;size\n3;4\n", "no column 'colour'"),
        ("age;colour;size\nold;red;4\n", "column 'age' held numbers in training, but holds 'old' on line 2"),
        ("age;colour;size\n3;red;4;5\n", "4 fields"),
        ("", "empty"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(trained, tmp_path, content, message):
    path = tmp_path / "new.csv"
    path.write_text(content)
    with pytest.raises(dp.DenpaError, match=message):
        trained[0].examples(str(path))


def test_an_unknown_category_is_told_of(trained, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("age;colour;size\n3;pink;4\n")
    with pytest.warns(UserWarning, match="'pink' on line 2"):
        trained[0].examples(str(path))


def test_data_that_changed_are_not_measured(trained):
    ours, _, folder = trained
    before = (folder / "t.csv").read_text()
    (folder / "t.csv").write_text(before.replace("red", "blue", 3))
    with pytest.raises(dp.DataError, match="have changed"):
        ours.test_part()
    (folder / "t.csv").write_text(before)


def untrained(loss, units, in_shape, **options):
    return Trained(Model([dp.Flatten(), dp.Dense(units)], loss, in_shape=in_shape, **options))


def test_arrays_and_values(tmp_path):
    ours = untrained(dp.MeanSquaredError(), 2, (4,))
    x = RNG.normal(size=(6, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x, t=x[:, 0])
    for name in ("x.npy", "x.npz"):
        np.testing.assert_array_equal(ours.examples(str(tmp_path / name))[0], x)
    predicted = read(predictions_csv(ours.model, x))
    np.testing.assert_array_equal(
        [[np.float32(row["predicted_0"]), np.float32(row["predicted_1"])] for row in predicted], ours.model.predict(x)
    )


def test_a_single_output_speaks_for_two_classes():
    ours = untrained(dp.SigmoidCrossEntropy(), 1, (3,), class_names=("no", "yes"))
    x = RNG.normal(size=(20, 3)).astype(np.float32)
    predicted = read(predictions_csv(ours.model, x))
    assert {row["predicted"] for row in predicted} == {"no", "yes"}
    assert all((float(row["probability_yes"]) > 0.5) == (row["predicted"] == "yes") for row in predicted)


def test_images_are_brought_to_the_form_of_the_model(tmp_path):
    image = pytest.importorskip("PIL.Image")
    ours = untrained(dp.SoftmaxCrossEntropy(), 2, (4, 3, 1), class_names=("cat", "dog"))
    (tmp_path / "dog").mkdir()
    (tmp_path / "cat").mkdir()
    image.new("RGB", (9, 12), (200, 200, 200)).save(tmp_path / "dog" / "b.png")
    image.new("L", (3, 4), 7).save(tmp_path / "cat" / "a.png")
    x, names = ours.examples(str(tmp_path))
    assert names == ["cat/a.png", "dog/b.png"]
    np.testing.assert_array_equal(x[:, 0, 0, 0], [7, 200])
    assert ours.examples(str(tmp_path / "cat" / "a.png"))[1] == ["a.png"]
    assert read(predictions_csv(ours.model, x, names))[1]["file"] == "dog/b.png"
    np.testing.assert_array_equal(ours.labelled(str(tmp_path)).t, [0, 1])
    other = untrained(dp.SoftmaxCrossEntropy(), 3, (4, 3, 1), class_names=("dog", "cow", "cat"))
    np.testing.assert_array_equal(other.labelled(str(tmp_path)).t, [2, 0])  # by name, not by position
    strange = untrained(dp.SoftmaxCrossEntropy(), 2, (4, 3, 1), class_names=("dog", "cow"))
    with pytest.raises(dp.DataError, match="'cat', but the model knows dog, cow"):
        strange.labelled(str(tmp_path))


def test_files_that_are_no_images_are_left_out_where_that_is_asked_for(tmp_path):
    image = pytest.importorskip("PIL.Image")
    ours = untrained(dp.SoftmaxCrossEntropy(), 2, (4, 3, 1), class_names=("cat", "dog"))
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        image.new("L", (3, 4), 7).save(tmp_path / name / "a.png")
        (tmp_path / name / "bad.png").write_bytes(b"no image")
    for read_them in (ours.examples, ours.labelled):
        with pytest.raises(dp.FileFormatError, match=r"bad.png cannot .* or pass skip_bad=True to leave it out"):
            read_them(str(tmp_path))
    with pytest.warns(UserWarning, match=r"bad.png .* It is left out. So are 1 more"):
        assert ours.examples(str(tmp_path), skip_bad=True)[1] == ["cat/a.png", "dog/a.png"]
    with pytest.warns(UserWarning, match="bad.png"):
        np.testing.assert_array_equal(ours.labelled(str(tmp_path), skip_bad=True).t, [0, 1])
    with pytest.warns(UserWarning, match="bad.png"), pytest.raises(dp.DataError, match="holds no readable images"):
        ours.examples(str(tmp_path / "cat" / "bad.png"), skip_bad=True)


def test_named_classes_for_a_model_that_counts_them_are_told_of(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.eye(4), t=np.array(["pos", "neg", "pos", "neg"]))
    counting = untrained(dp.SoftmaxCrossEntropy(), 2, (4,))
    with pytest.warns(UserWarning, match="by number alone, so it takes 'neg' for 0, 'pos' for 1"):
        np.testing.assert_array_equal(counting.labelled(str(tmp_path / "a.npz")).t, [1, 0, 1, 0])


def test_hidden_files_are_no_images_to_predict_from(tmp_path):
    image = pytest.importorskip("PIL.Image")
    ours = untrained(dp.SoftmaxCrossEntropy(), 2, (4, 3, 1))
    for name in ("cat/a.png", ".thumbnails/a.png", "cat/.old/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.new("L", (3, 4), 7).save(tmp_path / name)
    (tmp_path / "cat" / "._a.png").write_bytes(b"what a Mac puts beside a.png")
    assert ours.examples(str(tmp_path))[1] == ["cat/a.png"]


def test_pixels_of_files_are_brought_to_the_range_of_the_model(tmp_path):
    image = pytest.importorskip("PIL.Image")
    ours = untrained(dp.SoftmaxCrossEntropy(), 2, (4, 3, 1), class_names=("cat", "dog"))
    ours.model.normalizer = dp.ScaleImages(16)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        image.new("L", (3, 4), 51).save(tmp_path / name / "a.png")
    expected = np.full((2, 4, 3, 1), 16 * 51 / 255)
    np.testing.assert_allclose(ours.examples(str(tmp_path))[0], expected, rtol=1e-6)
    np.testing.assert_allclose(ours.labelled(str(tmp_path)).x, expected, rtol=1e-6)


def test_what_cannot_be_read_is_told(tmp_path):
    ours = untrained(dp.SoftmaxCrossEntropy(), 2, (4,))
    (tmp_path / "t.csv").write_text("a\n1\n")
    (tmp_path / "t.xyz").write_text("a\n1\n")
    for name, message in (("t.csv", "not trained on"), ("t.xyz", "no known kind"), ("none.png", "no such file")):
        with pytest.raises(dp.DataError, match=message):
            ours.examples(str(tmp_path / name))
    for way in (ours.examples, ours.labelled):
        with pytest.raises(dp.DataError, match=r"none\.csv cannot be read: there is no such file"):
            way(str(tmp_path / "none.csv"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(dp.DataError, match="no images"):
        ours.examples(str(tmp_path / "empty"))
    for path in (tmp_path / "t.csv", tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(dp.FileFormatError):
            Trained.of(path)
