"""The script for Tab offers what there is, as a shell reads it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from denpa.cli.completion import script
from denpa.cli.main import _COMMANDS


def offered(words):
    asked = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _denpa; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", script("bash") + asked], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "answers"),
    [
        (["denpa", "diag"], ["diagnose"]),
        (["denpa", "train", "digits-m"], ["digits-mlp"]),
        (["denpa", "train", "digits-mlp", "--learn"], ["--learning-rate"]),
        (["denpa", "lab", "run", "vanish"], ["vanishing-gradient"]),
        (["denpa", "landscape", "sad"], ["saddle"]),
        (["denpa", "evaluate", "runs/x"], []),
    ],
)
def test_bash_offers_what_begins_so(words, answers):
    assert offered(words) == answers


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_every_command_is_offered():
    assert set(offered(["denpa", '""'])) == {*_COMMANDS, "--help", "--version"}


def test_other_shells_are_refused(refused):
    refused("completion fish", "No completion for 'fish'")


def test_the_command_prints_the_script(said):
    assert said("completion", "zsh") == (0, script("zsh"), "")
