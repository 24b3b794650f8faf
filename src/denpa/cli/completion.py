"""What a shell asks when Tab is pressed: the names of commands, options, presets, studies and the like."""

from __future__ import annotations

from typing import Any

from denpa.cli.asked import wanted
from denpa.cli.parse import Places, names_of
from denpa.core.errors import ConfigError, nearest
from denpa.lab.describe import KINDS
from denpa.lab.landscapes import SURFACES
from denpa.lab.presets import PRESETS
from denpa.lab.studies.registry import STUDIES

__all__ = ["COMMANDS", "script"]

_SHELLS = {"bash": "", "zsh": "autoload -U +X bashcompinit && bashcompinit\n"}
_ABOUT = {
    **dict.fromkeys(("train", "summary", "cv", "sweep", "check", "diagnose"), tuple(PRESETS)),
    "worksheet": (*PRESETS, "notes"),
    "landscape": tuple(SURFACES),
    "lab": ("list", "run", "report", "all", *STUDIES),
    "list": tuple(KINDS),
    "completion": tuple(_SHELLS),
}
_SCRIPT = """{before}_denpa() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{commands} --help --version"
  else
    case "${{COMP_WORDS[1]}}:$word" in
{cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _denpa denpa
"""


def script(shell: str) -> str:
    """The script that teaches a shell to complete: `bash`, or `zsh` by its understanding of bash's.

    Raises:
        ConfigError: another shell.
    """
    from denpa.cli import options

    if shell not in _SHELLS:
        raise ConfigError(f"No completion for {shell!r}: {nearest(shell, _SHELLS, plural='shells')}")
    kinds = {name.lower(): getattr(options, name) for name in options.__all__}
    cases = [
        line
        for command, kind in kinds.items()
        for line in (
            f'      {command}:-*) words="{" ".join([*names_of(kind), "--help"])}" ;;',
            f'      {command}:*) words="{" ".join(_ABOUT.get(command, ()))}" ;;',
        )
    ]
    return _SCRIPT.format(before=_SHELLS[shell], commands=" ".join(kinds), cases="\n".join(cases))


def completion(options: Any, places: Places, words: list[str]) -> int:
    """Print a script for a shell."""
    print(script(wanted(options.shell, "bash or zsh", "completion")), end="")
    return 0


COMMANDS = {"completion": completion}
