"""The fixed options of every command, as dataclasses that tyro reads. Imported only when a command is parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

__all__ = [
    "Check",
    "Completion",
    "Cv",
    "Diagnose",
    "Evaluate",
    "Export",
    "Lab",
    "Landscape",
    "List",
    "Predict",
    "Sample",
    "Summary",
    "Sweep",
    "Train",
    "Worksheet",
]


def _option(metavar: str, text: str) -> Any:
    return tyro.conf.arg(metavar=metavar, help=text, help_behavior_hint="")


_Positional = tyro.conf.Positional

# Values are texts here: they are read as TOML and checked by the descriptions that they go into.
PLACES = {
    "data": "data.source",
    "target": "data.target",
    "task": "data.task",
    "missing": "data.missing",
    "ignore": "data.ignore",
    "categorical": "data.categorical",
    "validation": "data.validation",
    "optimizer": "optimizer",
    "learning_rate": "optimizer.learning_rate",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "early_stopping": "training.early_stopping.patience",
    "seed": "training.seed",
    "strength": "penalty.strength",
    "initial_weights": "training.initial_weights",
    "initial_only": "training.initial_only",
    "frozen": "training.frozen",
    "pretrain": "training.pretrain",
    "members": "training.members",
}


@dataclass(frozen=True)
class OfExperiment:
    """Options that say which experiment is meant."""

    experiment: Annotated[
        str, _Positional, _option("PRESET|CONFIG.toml", "A preset, or a file with an experiment.")
    ] = ""
    data: Annotated[
        str, _option("SOURCE", "A data set by name, a table (.csv ...), .npz, a text, or a folder of images.")
    ] = ""
    target: Annotated[str, _option("COLUMN", "Of a table: the column to predict, by name or position from 0.")] = ""
    task: Annotated[str, _option("TASK", "classification or regression; found by the targets when not given.")] = ""
    missing: Annotated[
        tuple[str, ...], _option("WAY ...", "Of a table: mean, median, category or drop for missing values.")
    ] = ()
    ignore: Annotated[tuple[str, ...], _option("COLUMN ...", "Of a table: columns to leave out.")] = ()
    categorical: Annotated[tuple[str, ...], _option("COLUMN ...", "Of a table: columns whose numbers are names.")] = ()
    validation: Annotated[str, _option("PART", "Part of the training examples to hold back, such as 0.1.")] = ""
    hidden: Annotated[tuple[str, ...], _option("UNITS ...", "Units of each hidden layer: --hidden 100 100.")] = ()
    activation: Annotated[str, _option("NAME", "Of the hidden layers: relu, tanh, sigmoid, elu, ...")] = ""
    code: Annotated[
        str, _option("UNITS", "Of an autoencoder: units of the code, or channels of a convolutional one.")
    ] = ""
    optimizer: Annotated[str, _option("NAME", "SGD, Momentum, Adam, ...; denpa list optimizers.")] = ""
    learning_rate: Annotated[str, _option("RATE", "Of the optimiser; the largest one where it changes in time.")] = ""
    epochs: Annotated[str, _option("N", "Passes over the training examples.")] = ""
    batch_size: Annotated[str, _option("N|full", "Examples in a mini-batch.")] = ""
    early_stopping: Annotated[str, _option("PATIENCE", "Stop after so many epochs without improvement.")] = ""
    seed: Annotated[str, _option("N", "Decides initial parameters, order of examples, dropout.")] = ""
    strength: Annotated[str, _option("NUMBER", "Of the penalty: --penalty l2 --strength 1e-4.")] = ""
    initial_weights: Annotated[str, _option("RUN", "Start from the weights of a run folder or model file.")] = ""
    initial_only: Annotated[tuple[str, ...], _option("PATTERN ...", "Take only these, such as '0_conv2d/*'.")] = ()
    frozen: Annotated[tuple[str, ...], _option("PATTERN ...", "Arrays that training leaves as they are.")] = ()
    pretrain: Annotated[str, _option("EPOCHS", "First train layer by layer without targets, so many epochs each.")] = ""
    members: Annotated[str, _option("N", "Train so many networks on bootstrap samples, which decide together.")] = ""


@dataclass(frozen=True)
class Train(OfExperiment):
    """Train, and keep the run in a folder.

    Every other option of the experiment is named by its place: --optimizer.beta1 0.8, --data.seed 3,
    --network.layers.1.units 50, --penalty.strength 1e-4.
    """

    run: Annotated[str, _option("FOLDER", "Where to keep the run; runs/PRESET when not given.")] = ""
    resume: Annotated[str, _option("FOLDER", "Go on with an interrupted run, to the same end.")] = ""
    overwrite: Annotated[bool, _option("", "Replace the run that is in the folder.")] = False
    progress: Annotated[str, _option("KIND", "bar, lines or none; auto takes a bar on a terminal.")] = "auto"


@dataclass(frozen=True)
class Summary(OfExperiment):
    """Show an experiment and the table of its layers, without training; a run folder or model file will do as well."""


@dataclass(frozen=True)
class Cv(OfExperiment):
    """Cross-validate: train k times, each time without another fold of the training examples, and measure that fold.

    The test part that the experiment sets aside is in no fold; --data.test 0 takes all examples.
    """

    folds: Annotated[str, _option("K", "How many folds.")] = "5"
    output: Annotated[str, _option("FILE", "Where to write the scores as CSV as well.")] = ""
    overwrite: Annotated[bool, _option("", "Replace the output file.")] = False


@dataclass(frozen=True)
class Sweep(OfExperiment):
    """Train with each of several values of one option, and compare on examples held out.

    The option has a range or a list in the place of its value: --strength 1e-5..1e-1, --learning-rate 0.1,0.01,
    --normalizer.steps.1.degree 1..9. Without --validation or --folds a fifth of the training examples is held out.
    """

    steps: Annotated[str, _option("N", "How many values of a range; whole numbers give at most all of them.")] = "9"
    folds: Annotated[str, _option("K", "Compare by cross-validation with so many folds.")] = ""
    run: Annotated[str, _option("FOLDER", "Where to keep table, picture and best; runs/sweep-NAME otherwise.")] = ""
    overwrite: Annotated[bool, _option("", "Write into a folder that exists.")] = False


@dataclass(frozen=True)
class Lab:
    """Put what is claimed about learning to the test.

    denpa lab list: the studies. denpa lab run NAME ...: run some, or all of them with the name all; pictures, tables
    and a page go into the output folder. denpa lab report: make the page anew, in the language asked for.
    """

    words: Annotated[
        tuple[str, ...], _Positional, _option("list | run NAME ... | report", "What to do, with which studies.")
    ] = ()
    quick: Annotated[bool, _option("", "On small data, in seconds each; this is what happens without an option.")] = (
        False
    )
    full: Annotated[bool, _option("", "On MNIST, as long as the claim was made for.")] = False
    seeds: Annotated[str, _option("N", "How many repetitions; 3, or 5 with --full.")] = ""
    output: Annotated[str, _option("FOLDER", "Where the results go, and where the page finds them.")] = "runs/lab"
    overwrite: Annotated[bool, _option("", "Replace results that are in the folder.")] = False
    language: Annotated[str, _option("LANGUAGE", "Of the page and the words: en or ja.")] = "en"


@dataclass(frozen=True)
class Landscape:
    """Paths of optimizers on a surface of two weights: valley, plateau, cliff, saddle or many-minima.

    For a RUN: the error on its training examples over a plane through its parameters, along two random directions, or
    through other runs. Of other data --data.options.NAME VALUE tells how they are written, where that is otherwise.
    """

    surface: Annotated[
        str, _Positional, _option("SURFACE|RUN", "A surface by name, or a run folder or model file.")
    ] = ""
    optimizers: Annotated[
        tuple[str, ...],
        _option("NAME ...", "sgd, momentum, nesterov, adagrad, rmsprop, adadelta, adam, clipped-sgd ..."),
    ] = ()
    learning_rate: Annotated[str, _option("RATE", "Of all optimizers; each has one that suits it otherwise.")] = ""
    start: Annotated[tuple[str, ...], _option("W1 W2", "Where the paths begin.")] = ()
    steps: Annotated[str, _option("N", "How many updates.")] = "100"
    noise: Annotated[str, _option("NUMBER", "Standard deviation of noise in the gradient.")] = "0"
    through: Annotated[
        tuple[str, ...], _option("RUN [RUN]", "Other runs of the same network to lay the plane through.")
    ] = ()
    span: Annotated[tuple[str, ...], _option("S | LEAST LARGEST", "How far along the directions.")] = ()
    resolution: Annotated[str, _option("N", "How many points along each direction.")] = "25"
    data: Annotated[str, _option("SOURCE", "Other examples, in the form that the run was trained on.")] = ""
    seed: Annotated[str, _option("N", "Decides noise, random directions, and the examples taken of many.")] = "0"
    output: Annotated[str, _option("FOLDER", "Where to keep picture and numbers; runs/landscape-NAME otherwise.")] = ""
    overwrite: Annotated[bool, _option("", "Write into a folder that exists.")] = False


@dataclass(frozen=True)
class Check(OfExperiment):
    """Compare every gradient of an experiment with automatic and numerical differentiation, on a few examples.

    Of a preset or a config file they are those of the first parameters, of a run folder those of what it has learned.
    """


@dataclass(frozen=True)
class Diagnose(OfExperiment):
    """Take one step of training apart: outputs, deltas and updates layer by layer, and what of them stands out.

    Of a preset or a config file it is the first step, of a run folder or a model file the next one, by an
    optimiser whose moments start anew. --data and --data.options.NAME VALUE then name other examples and how they are
    written.
    """

    figure: Annotated[
        str, _option("FILE", "Where to draw what every layer gives, .png, .svg or .pdf; not drawn otherwise.")
    ] = ""
    overwrite: Annotated[bool, _option("", "Replace the picture.")] = False


@dataclass(frozen=True)
class OfRun:
    """Options that say which trained model is meant. Beside them: how new data are read, --data.options.NAME VALUE."""

    run: Annotated[str, _Positional, _option("RUN", "A run folder, or a model file.")] = ""


@dataclass(frozen=True)
class Evaluate(OfRun):
    """Measure a trained model on the examples that its run set aside, or on others.

    --data.options.NAME VALUE tells how new data are written, where that is otherwise than in training:
    --data.options.encoding cp932.
    """

    data: Annotated[str, _option("FILE", "Examples with targets, in the form that the run was trained on.")] = ""


@dataclass(frozen=True)
class Predict(OfRun):
    """Predict from new examples; writes CSV, or arrays into an .npy file.

    --data.options.NAME VALUE tells how new data are written, where that is otherwise than in training:
    --data.options.encoding cp932.
    """

    input: Annotated[
        str,
        _option("FILE", "A table, a .txt (a text on each line), .npy, .npz with x, an image, or a folder of images."),
    ] = ""
    layer: Annotated[str, _option("PATH", "What this layer gives in place of the output: encoder for a code.")] = ""
    output: Annotated[
        str, _option("FILE", "Where to write the predictions, .csv or .npy; the terminal when not given.")
    ] = ""
    overwrite: Annotated[bool, _option("", "Replace the output file.")] = False


@dataclass(frozen=True)
class Export(OfRun):
    """Write a trained model as ONNX, for runtimes in other languages and on other devices."""

    output: Annotated[str, _option("FILE", "Where to write it; model.onnx in the run folder when not given.")] = ""
    probabilities: Annotated[bool, _option("", "Probabilities of the classes in place of the network's output.")] = (
        False
    )
    overwrite: Annotated[bool, _option("", "Replace the output file.")] = False


@dataclass(frozen=True)
class Worksheet:
    """Derive the gradients of a network of dense layers step by step, as a worksheet with blanks or with answers."""

    network: Annotated[
        str,
        _Positional,
        _option("NETWORK", "A preset, a config file, a run folder, a description such as 3-4-2:relu:softmax; notes."),
    ] = ""
    answers: Annotated[bool, _option("", "With the answers in place of the numbered boxes.")] = False
    no_numbers: Annotated[bool, _option("", "Letters alone, without the numbers of an example.")] = False
    language: Annotated[str, _option("LANGUAGE", "en or ja.")] = "en"
    format: Annotated[str, _option("FORMAT", "html or latex; when not given by the ending of FILE, else html.")] = ""
    example: Annotated[int, _option("N", "Which of the training examples, from 0.")] = 0
    seed: Annotated[int, _option("N", "Draws the parameters; a run has its own.")] = 0
    output: Annotated[str, _option("FILE", "Where to write it; worksheet-NAME.html or .tex when not given.")] = ""
    overwrite: Annotated[bool, _option("", "Replace the output file.")] = False


@dataclass(frozen=True)
class Sample:
    """Let a language model write on: each token is drawn from what it expects after all those before it."""

    run: Annotated[str, _Positional, _option("RUN", "The run folder of a language model, or its model file.")] = ""
    prompt: Annotated[str, _option("TEXT", "What to begin with; a new line when not given.")] = ""
    length: Annotated[str, _option("N", "How many characters or words to write.")] = "300"
    temperature: Annotated[
        str, _option("NUMBER", "Below 1 more likely text, above 1 wilder; 0 always takes the likeliest.")
    ] = "1.0"
    top_k: Annotated[str, _option("K", "Draw from the K likeliest only; from all when not given.")] = ""
    seed: Annotated[str, _option("N", "Decides what is drawn.")] = "0"


@dataclass(frozen=True)
class List:
    """List presets, data sets, layers, losses, optimizers and so on."""

    kind: Annotated[str, _Positional, _option("KIND", "One list only, such as presets or layers.")] = ""


@dataclass(frozen=True)
class Completion:
    """Print a script that completes commands, options and names when Tab is pressed.

    denpa completion bash > ~/.local/share/bash-completion/completions/denpa, or for one session:
    source <(denpa completion bash). For zsh: denpa completion zsh, read at the end of ~/.zshrc.
    """

    shell: Annotated[str, _Positional, _option("SHELL", "bash or zsh.")] = ""
