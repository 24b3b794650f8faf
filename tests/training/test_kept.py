"""Programs kept on disk: a later process gets the same bits without tracing, and never those of another program."""

import os
import sys
import threading
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.training import compiled, kept, program

RNG = np.random.default_rng(5)
X, T = RNG.normal(size=(20, 4)).astype(np.float32), RNG.integers(0, 3, 20)


@dataclass(frozen=True)
class Doubled(dp.Layer):
    """A layer of a user's own."""

    def forward(self, params, x, ctx):
        return 2 * x, ()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where programs are kept, as on a machine with one device; each call of `learned` is a process of its own."""
    ours(monkeypatch, kept, "cache_folder", lambda: tmp_path)
    ours(monkeypatch, kept, "_surroundings", lambda: "here")
    yield tmp_path / "programs"
    later()


@pytest.fixture
def compilations(monkeypatch):
    """Grows by one with each program that is compiled to be kept."""
    made, compile_ = [], kept._compiled
    ours(monkeypatch, kept, "_compiled", lambda *args: made.append(args) or compile_(*args))
    return made


def ours(monkeypatch, module, name, function):
    """Replace a function without its being taken for a user's."""
    function.__module__ = module.__name__
    monkeypatch.setattr(module, name, function)


def later():
    program.programs_for.cache_clear()
    program._fresh.cache_clear()


def learned(net=(dp.Dense(5), dp.Tanh(), dp.Dense(3)), optimizer=None, epochs=2):
    """Losses and parameters after a training in a process without programs."""
    later()
    model = dp.Model(list(net), dp.SoftmaxCrossEntropy(), optimizer or dp.Adam(0.1), metrics=[dp.Accuracy()])
    history = model.fit((X, T), epochs=epochs, batch_size=10, verbose=False)
    return [*history["loss"], *map(np.asarray, jax.tree.leaves(model.variables.params)), model.predict(X)]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_later_process_compiles_nothing_and_gets_the_same_bits(folder, compilations, monkeypatch):
    first = learned()
    made = len(compilations)
    assert made == len(list(folder.glob("*.program"))) == 4  # parameters, moments, training, prediction
    assert same(learned(), first)
    assert len(compilations) == made
    ours(monkeypatch, kept, "cache_folder", lambda: None)
    assert same(learned(), first)


def test_whatever_changes_the_numbers_has_programs_of_its_own(folder, compilations):
    learned()
    before = len(compilations)
    learned(optimizer=dp.Adam(0.2))
    assert len(compilations) == before + 3  # but not the first parameters
    before = len(compilations)
    with jax.default_matmul_precision("highest"):
        learned()
    assert len(compilations) == before + 4


def test_files_that_are_not_what_they_should_be_are_made_anew(folder, compilations):
    first = learned()
    one, two, three, four = sorted(folder.glob("*.program"), key=lambda file: file.stat().st_size)
    one.write_bytes(four.read_bytes())  # the program of another function
    two.write_bytes(two.read_bytes()[:-1])
    three.write_bytes(b"")
    four.write_bytes(four.read_bytes()[:40] + b"x" + four.read_bytes()[41:])
    assert same(learned(), first)
    assert len(compilations) == 8
    assert same(learned(), first)
    assert len(compilations) == 8


def test_nothing_is_kept_of_what_files_cannot_know(folder, compilations):
    learned(net=(dp.Dense(5), Doubled(), dp.Dense(3)))
    assert len(compilations) == 1  # the moments of Adam
    learned(optimizer=dp.SGD(lambda step: 0.1))
    assert len(compilations) == 2  # the parameters of a network of denpa's own


def test_a_replaced_function_is_noticed(folder, compilations, monkeypatch):
    first = learned()
    made = len(compilations)
    assert not kept._has_replacements()
    original = dp.Tanh.forward
    monkeypatch.setattr(dp.Tanh, "forward", lambda self, params, x, ctx: original(self, params, 2 * x, ctx))
    assert kept._has_replacements()
    assert not same(learned(), first)
    assert len(compilations) == made


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(folder, monkeypatch):
    folder.write_text("a file where the folder should be")
    assert np.isfinite(learned()[0])


def test_files_beyond_the_limit_go_the_longest_unused_first(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "_MOST_BYTES", 250)
    for index in range(4):
        kept._write(tmp_path / f"{index}.program", bytes(60))
        os.utime(tmp_path / f"{index}.program", (index, index))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["2.program", "3.program"]


def test_text_shows_all_that_a_recipe_holds():
    recipe = program.Recipe(dp.Sequential([dp.Dense(3)]), dp.SoftmaxCrossEntropy(), dp.Adam(0.1))
    other = program.Recipe(dp.Sequential([dp.Dense(3)]), dp.SoftmaxCrossEntropy(), dp.Adam(0.1 + 1e-15))
    text = kept.Kept(None, recipe)._text
    assert "denpa.layers.dense.Dense" in text
    assert "0.1" in text
    assert kept.Kept(None, other)._text != text
    assert kept.Kept(None, lambda x: x)._text == ""


def test_calls_of_other_libraries_are_not_kept(folder, compilations):
    qr = kept.Kept(jax.jit(lambda x: jnp.linalg.qr(x)[1]), "QR decomposition")
    np.testing.assert_allclose(np.abs(qr(np.eye(3, dtype=np.float32))), np.eye(3), atol=1e-6)
    assert len(compilations) == 1
    assert not list(folder.glob("*.program"))


def test_several_devices_keep_none():
    assert jax.device_count() > 1
    assert kept._surroundings() == ""


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """What is said of a source of one file, on a machine with one device."""
    monkeypatch.setattr(kept, "_HOME", tmp_path)
    monkeypatch.setattr(jax, "device_count", lambda: 1)

    def seen(content, changed=0.0):
        (tmp_path / "optimiser.py").write_text(content)
        os.utime(tmp_path / "optimiser.py", (changed, changed))
        kept._surroundings.cache_clear()
        return kept._surroundings()

    yield seen
    kept._surroundings.cache_clear()


def test_other_source_has_other_programs(surroundings):
    said = surroundings("rate = 0.9")
    assert said == surroundings("rate = 0.9") != ""
    assert said != surroundings("rate = 0.8")
    assert surroundings("rate = 0.9", changed=kept._STARTED + 60) == ""  # what runs may be older


X86 = "processor : 0\nmodel name : Some CPU\nflags : fpu avx2\ncpu MHz : 2000.1\n"
ARM = "processor : 0\nBogoMIPS : 50.0\nFeatures : fp asimd\nCPU implementer : 0x41\nCPU part : 0xd0c\n"


@pytest.mark.parametrize(
    ("told", "part"), [(X86, "avx2"), (X86, "Some"), (ARM, "asimd"), (ARM, "0x41"), (ARM, "0xd0c")]
)
def test_another_processor_has_other_programs(surroundings, monkeypatch, told, part):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(kept, "_lines", lambda path: told.splitlines(keepends=True))
    said = surroundings("rate = 0.9")
    assert "MHz" not in said
    monkeypatch.setattr(kept, "_lines", lambda path: told.replace(part, "other").splitlines(keepends=True))
    assert "" != surroundings("rate = 0.9") != said != ""


def test_the_processor_of_a_mac_is_asked_for(surroundings, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(
        kept, "_told", lambda *command: "machdep.cpu.brand_string: Apple M1\nhw.optional.arm.FEAT_DPB: 1"
    )
    assert "Apple M1" in surroundings("rate = 0.9")
    monkeypatch.setattr(kept, "_told", lambda *command: "")
    assert surroundings("rate = 0.9") == ""


@pytest.mark.parametrize("told", ["", "processor : 0\nmodel name : Some CPU\n"])
def test_on_an_unknown_processor_nothing_is_kept(surroundings, monkeypatch, told):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(kept, "_lines", lambda path: told.splitlines(keepends=True))
    assert surroundings("rate = 0.9") == ""


def test_a_file_of_another_user_is_not_run(folder, compilations, monkeypatch):
    first, made = learned(), len(compilations)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1, raising=False)
    assert same(learned(), first)
    assert len(compilations) == 2 * made


class Waiting:
    """A jitted function whose compilation says that it has begun, and waits for something before it ends."""

    def __init__(self, begun, awaited):
        self.begun, self.awaited = begun, awaited

    def lower(self, *args):
        self.lowered = jax.jit(lambda x: x + 1).lower(*args)
        return self

    def as_text(self):
        return self.lowered.as_text()

    def compile(self):
        self.begun.set()
        assert self.awaited.wait(60)
        return self.lowered.compile()


def test_threads_that_compile_together_leave_the_settings_as_they_were(folder):
    names = "first begun", "second begun", "first ended"
    events = {name: threading.Event() for name in names}
    least, x = jax.config.values[kept._LEAST_SECONDS], np.float32(1)

    def first():
        kept._compiled(Waiting(events["first begun"], events["second begun"]), (x,), folder / "first.program")
        events["first ended"].set()

    thread = threading.Thread(target=first)
    thread.start()
    assert events["first begun"].wait(60)
    during = kept.Kept(jax.jit(lambda x: x), "told")._place(kept._signature((x,)), "program")
    kept._compiled(Waiting(events["second begun"], events["first ended"]), (x,), folder / "second.program")
    thread.join()
    assert jax.config.values[kept._LEAST_SECONDS] == least
    assert during == kept.Kept(jax.jit(lambda x: x), "told")._place(kept._signature((x,)), "program")
    assert len(list(folder.glob("*.program"))) == 2


def test_programs_may_be_called_inside_others(folder):
    function = compiled.compiled(lambda x: x + 1, "auto", "told")
    assert float(jax.jit(lambda x: 2 * function(x))(np.float32(3))) == 8
    with jax.disable_jit():
        assert float(function(np.float32(3))) == 4
