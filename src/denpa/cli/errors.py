"""The error of a run that had begun."""

from __future__ import annotations

from denpa.core.errors import DenpaError

__all__ = ["RunFailed"]


class RunFailed(DenpaError):
    """A run that had begun did not come to its end: exit status 1."""
