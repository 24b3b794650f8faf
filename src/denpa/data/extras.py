"""Optional packages: imported where they are used, with an error that names the extra to install."""

from __future__ import annotations

import importlib
from typing import Any

from denpa.core.errors import ConfigError

__all__ = ["optional"]


def optional(module: str, extra: str, purpose: str) -> Any:
    """The module of that name, or a `ConfigError` that says which extra of denpa brings it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.split(".")[0]
        raise ConfigError(f'{purpose} needs {package}: pip install "denpa[{extra}]".') from None
