"""What ends a command early is told in a paragraph, with the exit status that says whose fault it is."""

from __future__ import annotations

import errno

import pytest

from denpa.cli.errors import RunFailed, explained
from denpa.core.errors import ConfigError, DivergenceError


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 5 bytes"),
        RuntimeError("INTERNAL: Error dispatching computation: Out of memory allocating 6553600000 bytes."),
    ],
)
def test_memory_that_is_not_there(error):
    text, status = explained(error)
    assert "not enough memory" in text
    assert "smaller batch" in text
    assert status == 1


@pytest.mark.parametrize(
    ("error", "text", "status"),
    [
        (RunFailed("it ended"), "it ended", 1),
        (DivergenceError("loss is NaN"), "loss is NaN", 1),
        (ConfigError("no such option"), "no such option", 2),
        (OSError(errno.ENOSPC, "No space left on device", "runs/a"), "runs/a: No space left on device.", 1),
        (OSError(errno.ENAMETOOLONG, "File name too long", "aaa"), "aaa: File name too long.", 2),
        (AssertionError("a gradient is wrong"), "a gradient is wrong", 1),
        (KeyError("z"), "KeyError: 'z'. This should not happen; --debug shows where it did.", 1),
    ],
)
def test_other_ends(error, text, status):
    assert explained(error) == (text, status)
