"""How a text file writes a table."""

from __future__ import annotations

from dataclasses import dataclass

from denpa.core.description import Description
from denpa.core.errors import ConfigError

__all__ = ["MISSING_VALUES", "TextFormat"]

MISSING_VALUES = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")


@dataclass(frozen=True)
class TextFormat(Description):
    """What `read_table` was told of a text file; an encoder keeps it, so that later files are read alike.

    Args:
        delimiter: what separates the fields; None finds it among comma, semicolon and tab.
        header: whether the first row holds names; None takes it for names where no field of it is a number.
        encoding: of the text.
        decimal: "," where 3,14 stands for 3.14.
        missing_values: the texts that stand for a missing value.
    """

    delimiter: str | None = None
    header: bool | None = None
    encoding: str = "utf-8"
    decimal: str = "."
    missing_values: tuple[str, ...] = MISSING_VALUES

    def validate(self) -> None:
        """Refuse another sign than point and comma before the decimals."""
        if self.decimal not in (".", ","):
            raise ConfigError(f"decimal must be '.' or ',', not {self.decimal!r}.")
