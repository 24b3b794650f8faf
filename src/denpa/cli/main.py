"""The command `denpa`: finds the subcommand, turns errors into one paragraph and an exit status.

0  done
1  the run failed: it diverged, the disk is full, it was interrupted, a gradient is wrong
2  bad usage or bad input; nothing was written
"""

from __future__ import annotations

import codecs
import contextlib
import io
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from denpa.cli.errors import explained
from denpa.cli.wording import for_command_line
from denpa.core.errors import ConfigError

__all__ = ["main"]

_COMMANDS = {
    "train": "train a preset or a config file, or resume a run",
    "evaluate": "measure a trained model",
    "predict": "predict from new examples",
    "export": "write a trained model as ONNX",
    "sample": "let a language model write",
    "summary": "show an experiment or a trained model",
    "cv": "cross-validate an experiment: a score for each fold, mean and spread",
    "sweep": "train with each of several values of an option: a table and a picture",
    "landscape": "paths of optimizers on an error surface, or the error around a trained network",
    "lab": "run studies: what is claimed about learning, put to the test",
    "worksheet": "derive a network's gradients step by step, with blanks or answers",
    "diagnose": "why does it not learn: take one step of training apart",
    "check": "compare gradients with automatic and numerical differentiation",
    "list": "list presets, data sets, layers, losses, optimizers, ...",
    "completion": "a script by which bash or zsh completes all these names",
}
_SIGNS = {"─": "-", "│": "|", "·": ".", "×": "x", "±": "+-", "…": "..."}
_HELP = f"""usage: denpa COMMAND [OPTIONS]

{chr(10).join(f"  {name:<12}{text}" for name, text in _COMMANDS.items())}

  denpa COMMAND --help   the options of a command
  denpa --version        the version
  --debug                show where an error arose

Try it:  denpa train digits-mlp"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the words after `denpa`; those of the process when None.

    Returns:
        The exit status.
    """
    _ready_output()
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        with warnings.catch_warnings(), _ending_as_by_control_c():
            warnings.showwarning = _warner()
            _be_quiet()
            status = _dispatch(words)
            sys.stdout.flush()
            return status
    except SystemExit as done:
        return int(done.code or 0)
    except BrokenPipeError:  # the reader has seen enough; `unread` tells of work that is not done then
        _write_no_more()
        return 0
    except KeyboardInterrupt:
        return _tell("interrupted; nothing was written.", 1)
    except Exception as error:  # noqa: BLE001  (the last place that can tell of it)
        if debug:
            traceback.print_exc()
        return _tell(*explained(error))


def _ready_output() -> None:
    """Output that is closed goes nowhere; signs that a terminal's encoding lacks are written in others."""
    codecs.register_error("denpa", _in_other_signs)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  (open to the end)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="denpa")


def _in_other_signs(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_SIGNS.get(sign, ascii(sign)[1:-1]) for sign in signs), error.end


@contextlib.contextmanager
def _ending_as_by_control_c() -> Iterator[None]:
    """SIGTERM, of a batch system or a shutdown, and SIGHUP, of a lost connection: what Ctrl-C keeps, they keep too."""
    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]  # nohup ignores SIGHUP
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(*_: Any) -> None:
    if not callable(signal.getsignal(signal.SIGINT)):  # a script's background job ignores Ctrl-C
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_HELP, file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    command, rest = words[0], words[1:]
    if command in ("-V", "--version", "version"):
        import denpa

        print(f"denpa {denpa.__version__}")
        return 0
    if command not in _COMMANDS:
        from denpa.cli.habits import for_command

        raise ConfigError(f"Unknown command {command!r}: {for_command(command, _COMMANDS)}")
    from denpa.cli.commands import COMMANDS
    from denpa.cli.completion import COMMANDS as COMPLETING
    from denpa.cli.lab import COMMANDS as STUDYING
    from denpa.cli.landscape import COMMANDS as SURVEYING
    from denpa.cli.parse import parsed
    from denpa.cli.selecting import COMMANDS as COMPARING
    from denpa.cli.training import COMMANDS as TRAINING
    from denpa.cli.worksheets import COMMANDS as WRITING

    options, places = parsed(command, rest)
    return (COMMANDS | TRAINING | COMPARING | STUDYING | WRITING | SURVEYING | COMPLETING)[command](
        options, places, ["denpa", *words]
    )


def _write_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(text: str, status: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _write_no_more()
    print(f"denpa: {for_command_line(text)}", file=sys.stderr)
    return status


def _warner() -> Callable[..., None]:
    """Tells each warning once: comparisons read the same data again and again."""
    told: set[str] = set()

    def warn(message: Any, category: Any, filename: Any, lineno: Any, file: Any = None, line: Any = None) -> None:
        text = for_command_line(str(message))
        if text not in told:
            told.add(text)
            print(f"denpa: warning: {text}", file=sys.stderr)

    return warn


def _be_quiet() -> None:
    """Of the libraries below only what concerns the user: their own warnings and windows are for programmers."""
    warnings.simplefilter("ignore")
    warnings.filterwarnings("always", category=UserWarning, module=r"denpa(\.|$)")
    logging.getLogger("jax").setLevel(logging.ERROR)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    os.environ.pop("MPLBACKEND", None)  # pictures go into files: a window that cannot be had must not end a run


if __name__ == "__main__":
    sys.exit(main())
