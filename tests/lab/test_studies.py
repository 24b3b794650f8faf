"""Studies: checks, the registry, the folder of results, the page, and members that train together."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

import denpa as dp
from denpa.lab.studies import checks, images, linear, plots, registry, store
from denpa.lab.studies.page import page, translated
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.terms import FORMULA_WORDS, in_japanese, words_apart
from denpa.lab.studies.together import steps_of, train_together

ONE = Plan(False, (0,))


def test_a_check_passes_only_if_every_seed_lies_within_the_bounds():
    claim = Text("accuracy", "正解率")
    assert Check(claim, [0.9, 0.95], low=0.9).passed
    assert not Check(claim, [0.89, 0.95], low=0.9).passed
    assert not Check(claim, [0.5, float("nan")], 0, 1).passed
    assert Check(claim, np.array([2.0]), 2, 2).expected == "= 2"
    assert Check(claim, [0.1, 0.3], 0, 1).measured == "0.2 [0.1 … 0.3]"


def test_a_check_without_values_is_none():
    with pytest.raises(dp.ConfigError, match="'accuracy' has no values"):
        Check(Text("accuracy", "正解率"), [])


def test_what_single_networks_do_not_all_do_is_checked_of_the_median():
    check = checks.typically("swing", "振れ幅", [0.0, 0.3, 0.5], 0.1, 1)
    assert check.values == (0.3,)
    assert check.passed
    assert check.claim == Text("swing, median of the seeds", "振れ幅（シードの中央値）")
    assert not checks.typically("swing", "振れ幅", [0.0, 0.05, 0.5], 0.1, 1).passed


def test_every_study_is_told_in_both_languages_under_a_name_of_its_own():
    names = [study.name for module in registry._MODULES for study in module.STUDIES]
    assert len(names) == len(set(names)) == len(registry.STUDIES)
    japanese = re.compile("[぀-ヿ一-鿿]")
    for study in registry.STUDIES.values():
        for text in filter(None, (study.title, study.claim, study.setting, study.chapter)):
            assert text.en
            assert japanese.search(text.ja), study.name
            assert not re.search("[、。] |～|[぀-鿿],", text.ja), study.name
            assert not japanese.search(text.en), study.name


def test_deltas_are_rows_that_go_back_through_the_transposed_weights():
    formulas = [formula for study in registry.STUDIES.values() for formula in study.formula]
    assert not [formula for formula in formulas if re.search(r"W\^\{\(l ?\+ ?1\)\} *\\delta", formula)]


def test_chosen_takes_all_or_some_and_names_the_nearest():
    assert registry.chosen(("all",)) == tuple(registry.STUDIES.values())
    assert [study.name for study in registry.chosen(("polynomial", "polynomial"))] == ["polynomial"]
    with pytest.raises(dp.ConfigError, match="did you mean 'polynomial'"):
        registry.chosen(("polynomail",))
    with pytest.raises(dp.ConfigError, match="Which study"):
        registry.chosen(())


@pytest.mark.parametrize("study", linear.STUDIES, ids=lambda study: study.name)
def test_the_linear_studies_come_out_as_expected(study):
    result = study.run(ONE)
    assert result.passed, [check.claim.en for check in result.checks if not check.passed]
    assert len({tuple(row) for row in result.rows}) == 1  # equal columns


def test_without_mnist_the_digits_take_its_place_and_say_so(monkeypatch):
    load = images.datasets.load

    def without(name, **options):
        if name == "mnist":
            raise dp.DataError("Put the four files into DENPA_DATA.")
        return load(name, **options)

    monkeypatch.setattr(images.datasets, "load", without)
    images._loaded.cache_clear()
    try:
        found = images.images(Plan(full=True))
    finally:
        images._loaded.cache_clear()
    assert found.name == "digits"
    assert found.x.max() == 1
    assert found.x.dtype == np.float32
    assert "DENPA_DATA" in found.describe().en
    assert "DENPA_DATA" in found.describe().ja
    assert "not at hand" not in found.describe().ja


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    from matplotlib.figure import Figure

    folder, figure = tmp_path_factory.mktemp("lab"), Figure(figsize=(2, 2))
    figure.add_subplot().set_xlabel("updates")

    claim = Text("1 < 2", "1 は 2 より小さい")
    study = Study(
        "a-study", Text("One", "一"), Text("Title & more", "題名"), claim, claim, lambda plan: Result(()), ("x^2",)
    )
    result = Result(
        (Check(claim, [1.0, 2.0], 0, 3), Check(claim, [float("inf")], high=1, contradicts=True)),
        (Picture("curve", Text("A <picture>", "図"), figure, b"GIF89a"),),
        ({"step": 1, "value": 0.5}, {"step": 2, "value": 0.25}),
    )
    return folder, study, store.write(folder, study, Plan(False, (0, 1)), result, 1.5)


def test_a_result_is_read_as_it_was_written(stored):
    folder, study, written = stored
    found = store.read(folder / study.name)
    assert (found.name, found.full, found.seeds, found.seconds) == ("a-study", False, (0, 1), 1.5)
    assert [check.values for check in found.checks] == [(1.0, 2.0), (np.inf,)]
    assert [check.passed for check in found.checks] == [True, False]
    assert not found.passed
    assert found.checks == written.checks
    assert (folder / study.name / "table.csv").read_text() == "step,value\n1,0.5\n2,0.25\n"
    assert (folder / study.name / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_overwritten_unless_asked_for(stored, tmp_path):
    folder, study, _ = stored
    with pytest.raises(dp.StorageError, match=r"quick, 2 seeds.*--output.*--overwrite"):
        store.refuse_existing(folder, (study,), overwrite=False)
    store.refuse_existing(folder, (study,), overwrite=True)
    store.refuse_existing(tmp_path, (study,), overwrite=False)
    (tmp_path / study.name).mkdir()
    with pytest.raises(dp.StorageError, match="no result of a study"):
        store.refuse_existing(tmp_path, (study,), overwrite=False)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), dp.StorageError("the disk is full")])
def test_what_ends_early_leaves_no_folder_that_was_not_there(tmp_path, monkeypatch, error):
    def fails(*_):
        raise error

    claim = Text("1 < 2", "1 は 2 より小さい")
    study = Study("a-study", claim, claim, claim, claim, lambda plan: Result(()), ())
    result = Result((Check(claim, [1.0, 2.0], 0, 3),))
    monkeypatch.setattr(store, "write_text", fails)
    for kept in (False, True):
        if kept:
            (tmp_path / "a-study").mkdir()
            (tmp_path / "a-study" / "notes.txt").write_text("precious")
        with pytest.raises(type(error)):
            store.write(tmp_path, study, Plan(False, (0,)), result, 1.0)
        assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["notes.txt"] * kept
        assert (tmp_path / "a-study").exists() == kept


@pytest.mark.parametrize(("change", "message"), [({"denpa": "0.0.1"}, "by denpa 0.0.1"), ({"checks": 3}, "damaged")])
def test_results_of_another_version_and_damaged_ones_are_named(stored, tmp_path, change, message):
    folder, study, _ = stored
    content = json.loads((folder / study.name / "result.json").read_text()) | change
    (tmp_path / "result.json").write_text(json.dumps(content))
    with pytest.raises(dp.FileFormatError, match=message):
        store.read(tmp_path)


def test_the_page_holds_everything_within_itself(stored):
    _, study, found = stored
    text = page([(study, found)])
    assert "Title &amp; more" in text
    assert "A &lt;picture&gt;" in text
    assert text.count('<tr class="yes">') == text.count('<tr class="no">') == 1
    assert "does not hold" in text
    assert "1 / 2 checks passed" in text
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 3  # formula, picture, animation
    assert all(source.startswith("data:image/") for source in sources)
    assert "<script" not in text
    for source in sources[:2]:
        ElementTree.fromstring(base64.b64decode(source.partition(",")[2]))


@pytest.mark.parametrize(
    ("contradicts", "en", "ja"), [(False, "Remark", "注意"), (True, "What does not hold up", "主張どおりでない点")]
)
def test_a_remark_has_the_heading_that_it_deserves(stored, contradicts, en, ja):
    _, study, found = stored
    told = dataclasses.replace(study, remark=Text("Unless it rains.", "雨のとき以外。"), contradicts=contradicts)
    assert f"<b>{en}:</b> Unless it rains." in page([(told, found)])
    assert f"<b>{ja}：</b>雨のとき以外。" in page([(told, found)], "ja")
    assert "What does not" not in page([(study, found)])


def test_a_study_that_contradicts_says_what():
    assert all(study.remark for study in registry.STUDIES.values() if study.contradicts)


def test_the_japanese_page_has_japanese_in_its_pictures_too(stored):
    _, study, found = stored
    text = page([(study, found)], "ja")
    assert 'lang="ja"' in text
    assert "題名" in text
    assert "Title" not in text
    picture = base64.b64decode(re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', text)[1]).decode()
    assert "更新回数" in picture
    assert "updates" not in picture
    assert (
        translated("<text>updates</text><text>unknown &lt;1</text>")
        == "<text>更新回数</text><text>unknown &lt;1</text>"
    )


def test_a_translated_picture_is_wide_enough_for_its_legend():
    head = '<svg width="100pt" height="50pt" viewBox="0 0 100 50">'
    text = '<text style="font-size: 10px; text-anchor: start" x="{}">{}</text>'
    assert translated(head + text.format(70, "forget bias")).startswith(
        '<svg width="133pt" height="50pt" viewBox="0 0 133 '
    )
    assert translated(head + text.format(20, "forget bias")).startswith(head)


def test_words_of_pictures_are_known_as_a_whole_or_part_by_part():
    assert in_japanese("norm of delta, last step = 1") == "デルタのノルム（最後＝1）"
    assert in_japanese("sigmoid, Gaussian, xyz") == "シグモイド、ガウス、xyz"
    assert in_japanese("layer 2") == "層 2"
    assert in_japanese("100 images") == "100 枚"
    assert in_japanese("0.5") == "0.5"
    assert in_japanese("sigmoid, N(0, 1)") == "シグモイド、N(0, 1)"
    assert in_japanese("5, 1, 1, 6") == "5, 1, 1, 6"


def test_words_of_formulas_stand_in_japanese_between_their_parts(stored):
    assert words_apart(r"a \qquad \mathrm{lasso:}\ b + c \quad \mathrm{nearest}: d") == [
        *(("a", ""), ("", "LASSO："), ("b + c", ""), ("", "最近傍："), ("d", "")),
    ]
    assert words_apart(r"W_{\mathrm{random}} = \mathrm{softmax}(x)") == [
        (r"W_{\mathrm{random}} = \mathrm{softmax}(x)", "")
    ]
    _, study, found = stored
    told = dataclasses.replace(study, formula=(r"\mathrm{ridge:}\ w^2",))
    assert "リッジ：</span><img" in page([(told, found)], "ja")
    assert '<div class="formula"><img' in page([(told, found)])


def test_no_english_word_is_left_in_a_formula_of_the_japanese_page():
    names = {"arg", "argmin", "col", "im", "max", "softmax", "tanh"}  # of functions
    for study in registry.STUDIES.values():
        for formula in study.formula:
            rest = " ".join(part for part, _ in words_apart(formula))
            rest = re.sub(r"_\{\\mathrm\{\w+\}\}", "", rest)  # indices are names as well
            words = {word for text in re.findall(r"\\mathrm\{(.*?)\}", rest) for word in re.findall("[A-Za-z]+", text)}
            assert not {word for word in words if word.islower()} - names, study.name
    assert set(FORMULA_WORDS) == {
        word
        for word in FORMULA_WORDS
        if any(f"\\mathrm{{{word}" in formula for study in registry.STUDIES.values() for formula in study.formula)
    }


def test_members_that_train_together_learn_what_each_would_alone():
    net = dp.Sequential((dp.Dense(3, kernel_init=dp.init.Normal(0.5)), dp.Tanh(), dp.Dense(2)))
    other = dp.Sequential((dp.Dense(3, kernel_init=dp.init.He()), dp.Tanh(), dp.Dense(2)))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 4)).astype(np.float32)
    data, test = (x[:30], (x[:30, 0] > 0).astype(np.int32)), (x[30:], (x[30:, 0] > 0).astype(np.int32))

    def trained(seeds, rates, nets):
        model = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.SGD(0.1), [dp.Accuracy()])
        over = {"optimizer.learning_rate": rates}
        return train_together(model, data, test, seeds, steps_of(6, 3), batch_size=10, over=over, nets=nets)

    both = trained((3, 5), (0.1, 0.5), (net, other))
    assert both.steps.tolist() == [0, 2, 4, 6]
    assert both.test["accuracy"].shape == (4, 2)
    for member, (seed, rate, own) in enumerate(((3, 0.1, net), (5, 0.5, other))):
        alone = trained((seed, seed), (rate, rate), (own, own)).members(slice(0, 1))
        np.testing.assert_allclose(both.params["0_dense"]["W"][member], alone.params["0_dense"]["W"][0], rtol=1e-5)
        np.testing.assert_allclose(both.train["loss"][:, member], alone.train["loss"][:, 0], rtol=1e-5)
    assert both.train["loss"][-1, 1] < both.train["loss"][0, 1]
    assert dataclasses.replace(both, steps=both.steps * 10).at(20).tolist() == both.test["accuracy"][1].tolist()


@pytest.mark.parametrize(("scale", "middle"), [("linear", [50.5, 202]), ("log", [10, 40])])
def test_a_curve_is_the_mean_that_its_scale_shows(scale, middle):
    _, (axes,) = plots.figure_of(1)
    axes.set_yscale(scale)
    plots.curve(axes, [0, 1], [[1, 100], [4, 400]], 0)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), middle)


def test_a_rounding_error_below_zero_is_measured_as_zero():
    assert Check(Text("a", "あ"), [-0.0, 1.0]).measured == "0.5 [0 … 1]"
    assert Check(Text("a", "あ"), [-0.0]).measured == "0"


def test_bounds_that_look_alike_are_told_once():
    assert Check(Text("a", "あ"), [1.0], 1, 1).expected == "= 1"
    assert Check(Text("a", "あ"), [1.0], 1 - 1e-9, 1 + 1e-9).expected == "≈ 1"
    assert Check(Text("a", "あ"), [1.0], 0.9, 1).expected == "0.9 … 1"


@pytest.mark.parametrize(
    ("english", "japanese"),
    [("sigmoid, AdaGrad from 0", "シグモイド、AdaGrad（0 から）"), ("3 units", "3 ユニット数")],
)
def test_parts_of_a_label_are_translated_whole_before_their_numbers(english, japanese):
    assert in_japanese(english) == japanese
