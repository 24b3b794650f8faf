"""From the name of a network to its worksheet."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

from denpa.core.errors import ConfigError, nearest
from denpa.data.counted import counted
from denpa.data.dataset import Dataset
from denpa.lab import presets
from denpa.lab.assemble import assemble
from denpa.lab.experiment import Experiment
from denpa.lab.sources import Prepared, load_data
from denpa.lab.start import begin, model_of
from denpa.lab.trained import Trained
from denpa.lab.worksheet.backward import gradients, hidden_delta, output_delta, update
from denpa.lab.worksheet.document import Draft, Text, Worksheet
from denpa.lab.worksheet.example import Example
from denpa.lab.worksheet.forward import error, forward, given
from denpa.lab.worksheet.network import DenseNetwork, is_short
from denpa.lab.worksheet.notes import NOTES, notes
from denpa.losses import CrossEntropy
from denpa.training import Model

__all__ = ["derive", "worksheet"]

_PENALTY = Text(
    "The penalty that training adds to the error is left out: $E$ is the error of the example alone.",
    "学習で誤差に加える罰則項は省いた：$E$は例の誤差だけを表す。",
)


def worksheet(what: str, *, numbers: bool = True, example: int = 0, seed: int = 0) -> Worksheet:
    """The worksheet of a network.

    Args:
        what: a preset, a config file, a run folder, a short description such as "3-4-2:sigmoid:softmax", or "notes"
            for the worksheet of a network of three layers in letters alone.
        numbers: reckon an example through, beside the letters.
        example: which of the training examples, from 0.
        seed: draws the parameters, and for a short description the example; a run has its own parameters.

    Raises:
        ConfigError: an unknown name (the nearest is given), a network that is not of dense layers, or an example or a
            seed where it would change nothing.
        DataError, FileFormatError: data or a run that cannot be read.
    """
    if seed < 0:
        raise ConfigError(f"The seed must be 0 or more, not {seed}.")
    if what == NOTES:
        _refuse_idle(f"{what} is in letters alone", example=example, seed=seed)
        return notes()
    if is_short(what):
        net = DenseNetwork.short(what)
        _refuse_idle(f"{what} has one example, which the seed draws", example=example)
        return derive(net, Example.drawn(net, seed) if numbers else None, what.replace(":", "-").replace(",", "-"))
    if Path(what).is_dir():
        trained = Trained.of(what)
        if trained.experiment is None or trained.folder is None:
            raise ConfigError(f"{what} is no run folder.")
        data = load_data(trained.experiment.data)
        trained.folder.check_same_data(data)
        _refuse_idle(f"{what} has parameters of its own", seed=seed)
        return _with_data(trained.experiment, data, trained.model, numbers, example)
    if what not in presets.PRESETS and not what.endswith(".toml") and not Path(what).is_file():
        hint = nearest(what, [*presets.PRESETS, NOTES], plural="presets")
        raise ConfigError(
            f"{what!r} is no preset, config file, run folder or description such as 3-4-2:sigmoid:softmax: {hint}"
        )
    changes = [("training.seed", seed)] if seed else []
    experiment, data = assemble(what, changes)
    if not isinstance(data, Prepared):
        raise ConfigError(f"{what} was not read.")
    return _with_data(experiment, data, None, numbers, example)


def _refuse_idle(why: str, **given: int) -> None:
    """Refuse a number that would change nothing."""
    for name, value in given.items():
        if value:
            raise ConfigError(f"{why}: leave the {name} {value} out.")


def derive(net: DenseNetwork, example: Example | None, name: str, remarks: tuple[Text, ...] = ()) -> Worksheet:
    """The derivation of all gradients of a network, step by step.

    Args:
        net: the network.
        example: the numbers to show, or None for letters alone.
        name: what the worksheet is called.
        remarks: what else there is to say before it begins.
    """
    sizes = "-".join(map(str, net.sizes))
    draft = Draft(name, Text(f"Back-propagation in a {sizes} network", f"{sizes}ネットワークの誤差逆伝播"))
    draft.say(
        Text(
            "Each number marks an answer. Letters: $u$ total input of a unit, $y$ its output, $w$ weight, $b$ bias, "
            r"$d$ teacher signal, $E$ error of one example, $\delta = \partial E / \partial u$ delta; the layer "
            "stands in parentheses. Vectors are columns.",
            "番号は空欄（解答）を示す。記号：$u$はユニットの総入力、$y$は出力、$w$は重み、$b$はバイアス、$d$は教師信号、"
            r"$E$は1つの例の誤差、$\delta = \partial E / \partial u$はデルタ。"
            "括弧内は層の番号、ベクトルは列ベクトルである。",
        )
    )
    if net.left_out:
        names = ", ".join(f"`{name}`" for name in net.left_out)
        draft.say(
            Text(
                f"Left out, since they do nothing outside training: {names}.",
                f"学習時以外は何もしない層は省いた：{names}。",
            )
        )
    for remark in remarks:
        draft.say(remark)
    given(draft, net, example)
    forward(draft, net, example)
    error(draft, net, example)
    output_delta(draft, net, example)
    gradients(draft, net, example, net.depth)
    for number in range(net.depth - 1, 0, -1):
        hidden_delta(draft, net, example, number)
        gradients(draft, net, example, number)
    update(draft, net, example)
    return draft.finished()


def _with_data(experiment: Experiment, data: Prepared, model: Model | None, numbers: bool, index: int) -> Worksheet:
    """The worksheet of an experiment, with the parameters of its trained model, or with fresh ones for None."""
    x, d = _example(experiment, data, index)
    net = DenseNetwork.of(experiment.network, experiment.loss, x.shape)
    remarks = () if experiment.penalty is None else (_PENALTY,)
    if not numbers:
        return derive(net, None, experiment.name, remarks)
    if isinstance(net.loss, CrossEntropy) and d.ndim == 0:
        d = np.eye(net.sizes[-1])[d]
    seed, plan, source = experiment.training.seed, experiment.training, experiment.data.source
    if model is None and plan.generative is not None:
        model = model_of(experiment)
        begin(model, plan, data.train)
    params = experiment.network.init(jax.random.key(seed), x.shape)[0] if model is None else model.variables[0]
    if model is None:
        state = Text(f"as initialised with seed {seed}", f"シード{seed}による初期値である")
    elif model.steps == 0 and plan.generative is not None:
        state = Text("of Gaussian classes by maximum likelihood", "各クラスを正規分布とする最尤推定によるものである")
    else:
        state = Text(f"as trained in {counted(model.steps, 'step')}", f"{model.steps:,}回の更新で学習したものである")
    changed = experiment.normalizer is not None or data.encoder is not None
    text = Text(
        f"Example {index} of the training examples of {source}{', as the network is given it' * changed}; parameters "
        f"{state.en}.",
        f"{source}の訓練データの例{index}（0から数える{'。前処理後の値' * changed}）。パラメータは{state.ja}。",
    )
    return derive(net, Example.of(net, x.ravel(), d.ravel(), net.params_of(params), text), experiment.name, remarks)


def _example(experiment: Experiment, data: Prepared, index: int) -> tuple[np.ndarray, np.ndarray]:
    """An example as the network and the loss see it."""
    train: Dataset = data.train
    if train.t is None:
        raise ConfigError(f"{train.name} has no targets to learn.")
    if not 0 <= index < len(train):
        raise ConfigError(f"There are the training examples 0 to {len(train) - 1}, but no {index}.")
    x, t = np.asarray(train.x[index : index + 1]), np.asarray(train.t[index : index + 1])
    if experiment.normalizer is not None:
        x = np.asarray(experiment.normalizer.apply(experiment.normalizer.fit(train.x), x))
    if experiment.target_normalizer is not None:
        t = np.asarray(experiment.target_normalizer.apply(experiment.target_normalizer.fit(train.t), t))
    return x[0], t[0]
