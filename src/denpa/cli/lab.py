"""The command `denpa lab`: list, run and report studies."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from denpa.cli.errors import RunFailed, unread
from denpa.cli.parse import refuse_options
from denpa.core.errors import ConfigError, FileFormatError, nearest
from denpa.lab.studies import Plan, store
from denpa.lab.studies.page import page
from denpa.lab.studies.registry import STUDIES, chosen
from denpa.lab.studies.study import LANGUAGES
from denpa.training.storage import write_text

__all__ = ["COMMANDS"]

_QUICK_SEEDS, _FULL_SEEDS = 3, 5
_OF_RUNS = ("quick", "full", "seeds")


def lab(options: Any, places: Any, words: list[str]) -> int:
    """List, run or report studies."""
    actions = {"list": _list, "run": _run, "report": _report}
    if not options.words:
        raise ConfigError("denpa lab wants to know what to do: list, run NAME or report.")
    action, *names = options.words
    if action not in actions:
        raise ConfigError(f"Unknown word {action!r}: {nearest(action, actions, plural='words')}")
    if options.language not in LANGUAGES:
        raise ConfigError(
            f"Unknown language {options.language!r}: {nearest(options.language, LANGUAGES, plural='languages')}"
        )
    if action != "run":
        refuse_options(options, _OF_RUNS, f"denpa lab run, not for {action}")
    return actions[action](options, tuple(names))


def _list(options: Any, names: tuple[str, ...]) -> int:
    studies = chosen(names or ("all",))
    width, chapter = max(len(study.name) for study in studies), None
    for study in studies:
        if study.chapter != chapter:
            chapter = study.chapter
            print(f"\n{chapter.of(options.language)}")
        print(f"  {study.name:{width}}  {study.title.of(options.language)}")
    return 0


def _run(options: Any, names: tuple[str, ...]) -> int:
    studies, plan, folder = chosen(names), _plan(options), Path(options.output)
    store.refuse_existing(folder, studies, options.overwrite)
    failed, left = [], [study.name for study in studies]
    try:
        for study in studies:
            print(f"{study.name}: {study.title.of(options.language)}", flush=True)
            started = time.perf_counter()
            result = study.run(plan)
            stored = store.write(folder, study, plan, result, time.perf_counter() - started)
            left.remove(study.name)
            failed += [] if stored.passed else [study.name]
            _tell(stored, options.language)
    except (KeyboardInterrupt, BrokenPipeError) as error:
        if len(left) == len(studies):
            with unread():
                raise
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else "whoever read the output has gone"
        rest = (
            f"Still to run: {' '.join(left)}."
            if left
            else f"The page is still to make: denpa lab report --output {folder}."
        )
        raise RunFailed(f"{why}; what was finished is kept in {folder}. {rest}") from None
    with contextlib.suppress(BrokenPipeError):  # only whether all came out as expected is still to say
        _write_page(folder, options.language)
    if failed:
        raise RunFailed(f"{len(failed)} of {len(studies)} studies did not come out as expected: {', '.join(failed)}.")
    return 0


def _tell(stored: store.Stored, language: str) -> None:
    if stored.setting is not None:
        print(f"  {stored.setting.of(language)}")
    for check in stored.checks:
        mark = "ok    " if check.passed else "FAILED"
        found = {
            "en": f": {check.measured}, expected {check.expected}",
            "ja": f"：{check.measured}（期待値 {check.expected}）",
        }[language]
        print(f"  {mark} {check.claim.of(language)}{found}")
    kept = {"en": " s, kept in {}", "ja": " 秒、{} に保存"}[language].format(stored.folder)
    print(f"  {stored.seconds:.1f}{kept}\n", flush=True)


def _report(options: Any, names: tuple[str, ...]) -> int:
    if names:
        raise ConfigError(f"One word too many: {names[0]!r}. denpa lab report takes all results in --output.")
    _write_page(Path(options.output), options.language)
    return 0


def _write_page(folder: Path, language: str) -> None:
    """The page over all results in the folder, in the order of the list."""
    found = [(study, store.read(folder / name)) for name, study in STUDIES.items() if (folder / name).is_dir()]
    if not found:
        raise FileFormatError(f"There are no results in {folder}: denpa lab run all --output {folder} makes them.")
    path = folder / ("report.html" if language == "en" else f"report.{language}.html")
    write_text(path, page(found, language))
    done, all_of_them = len(found), len(STUDIES)
    said = {"en": f": {done} of {all_of_them} studies", "ja": f"：{all_of_them} 件の実験のうち {done} 件"}
    print(f"{path}{said[language]}")


def _plan(options: Any) -> Plan:
    if options.quick and options.full:
        raise ConfigError("--quick or --full, not both.")
    if not options.seeds:
        return Plan(options.full, tuple(range(_FULL_SEEDS if options.full else _QUICK_SEEDS)))
    if not options.seeds.isdigit() or int(options.seeds) < 1:
        raise ConfigError(f"--seeds wants how many repetitions, 1 or more, not {options.seeds!r}.")
    return Plan(options.full, tuple(range(int(options.seeds))))


COMMANDS = {"lab": lab}
