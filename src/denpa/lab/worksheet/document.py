r"""A worksheet as data: sections of numbered steps, each with words and equations in which blanks stand.

    draft = Draft("name", Text("Title", "題"))
    draft.section(Text("Forward", "順伝播"))
    draft.step(Text("Output", "出力"), r"y_k = \blank{h(u_k)}", Text("A [[linear]] unit.", "[[線形]]ユニット。"))
    worksheet = draft.finished()

In words, formulas stand between dollars, code between backticks, and words to be filled in between double brackets.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from denpa.core.errors import ConfigError, nearest
from denpa.lab.worksheet.formula import Box, Formula, Group, Sign, read
from denpa.lab.worksheet.numbers import shown
from denpa.lab.worksheet.tree import boxes

__all__ = ["LANGUAGES", "Blank", "Code", "Draft", "Equation", "Paragraph", "Section", "Shown", "Step", "Text"]
__all__ += ["WordBlank", "Worksheet", "checked_language"]

LANGUAGES = ("en", "ja")
_MARKED = re.compile(r"(\$[^$]*\$|\[\[.*?\]\]|`[^`]*`)")


@dataclass(frozen=True)
class Text:
    """Words in both languages."""

    en: str
    ja: str

    def in_(self, language: str) -> str:
        """The words in one language."""
        return self.ja if language == "ja" else self.en


@dataclass(frozen=True)
class Code:
    """A name in a program."""

    text: str


@dataclass(frozen=True)
class WordBlank:
    """Words to be filled in: label and answer."""

    label: str
    answer: str


Inline = str | Formula | Code | WordBlank
Blank = Box | WordBlank


@dataclass(frozen=True)
class Paragraph:
    """Words with formulas, code and blanks among them, in both languages."""

    en: tuple[Inline, ...]
    ja: tuple[Inline, ...]

    def in_(self, language: str) -> tuple[Inline, ...]:
        """The parts in one language."""
        return self.ja if language == "ja" else self.en


@dataclass(frozen=True)
class Equation:
    """A formula on a line of its own."""

    formula: Formula


@dataclass(frozen=True)
class Shown:
    """An equation whose right side is an array of numbers.

    Args:
        left: the formula on the left side, in the notation of `formula.read`.
        value: a number or an array of one or two axes.
        blank: whether the numbers are an answer.
        sign: what stands between the sides.
    """

    left: str
    value: Any
    blank: bool = True
    sign: str = "="


@dataclass(frozen=True)
class Step:
    """One step of a derivation."""

    number: int
    title: Text
    parts: tuple[Paragraph | Equation, ...]

    def blanks(self, language: str = "en") -> tuple[Blank, ...]:
        """The blanks of the step in their order, with their answers."""
        found: list[Blank] = []
        for part in self.parts:
            for inline in part.in_(language) if isinstance(part, Paragraph) else (part.formula,):
                if isinstance(inline, WordBlank):
                    found.append(inline)
                elif not isinstance(inline, (str, Code)):
                    found.extend(boxes(inline))
        return tuple(found)


@dataclass(frozen=True)
class Section:
    """Steps under a heading."""

    title: Text
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Worksheet:
    """A whole worksheet.

    Attributes:
        name: fit for the name of a file.
        title: the heading.
        introduction: what stands before the first section.
        sections: the derivation.
    """

    name: str
    title: Text
    introduction: tuple[Paragraph, ...]
    sections: tuple[Section, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps in their order."""
        return tuple(step for section in self.sections for step in section.steps)


@dataclass
class Draft:
    """A worksheet while it is written: numbers the steps through, and the blanks of each: 12.1, 12.2, ..."""

    name: str
    title: Text
    introduction: list[Paragraph] = field(default_factory=list)
    sections: list[tuple[Text, list[Step]]] = field(default_factory=list)

    def say(self, text: Text) -> None:
        """Add a paragraph before the first section."""
        self.introduction.append(_paragraph(text, iter(())))

    def section(self, title: Text) -> None:
        """Begin a section."""
        self.sections.append((title, []))

    def step(self, title: Text, *parts: Text | str | Shown) -> None:
        """Add a step of words (`Text`), equations (`str`) and numbers (`Shown`) to the last section."""
        number = 1 + sum(len(steps) for _, steps in self.sections)
        labels = (f"{number}.{index}" for index in itertools.count(1))
        read_parts = tuple(_part(part, labels) for part in parts)
        self.sections[-1][1].append(Step(number, title, read_parts))

    def finished(self) -> Worksheet:
        """The worksheet."""
        sections = tuple(Section(title, tuple(steps)) for title, steps in self.sections)
        return Worksheet(self.name, self.title, tuple(self.introduction), sections)


def checked_language(language: str) -> str:
    """The language, or a `ConfigError` where there are no words in it."""
    if language not in LANGUAGES:
        raise ConfigError(f"Unknown language {language!r}: {nearest(language, LANGUAGES, plural='languages')}")
    return language


def _part(part: Text | str | Shown, labels: Iterator[str]) -> Paragraph | Equation:
    if isinstance(part, Text):
        return _paragraph(part, labels)
    if isinstance(part, str):
        return Equation(read(part, labels))
    value = shown(part.value)
    return Equation(Group((read(part.left), Sign(part.sign), Box(next(labels), value) if part.blank else value)))


def _paragraph(text: Text, labels: Iterator[str]) -> Paragraph:
    """Both languages take the same labels, for they have the same blanks."""
    names = list(itertools.islice(labels, text.en.count("[[") + text.en.count(r"\blank")))
    return Paragraph(_inline(text.en, iter(names)), _inline(text.ja, iter(names)))


def _inline(text: str, labels: Iterator[str]) -> tuple[Inline, ...]:
    parts: list[Inline] = []
    for piece in filter(None, _MARKED.split(text)):
        if piece.startswith("$"):
            parts.append(read(piece[1:-1], labels))
        elif piece.startswith("[["):
            parts.append(WordBlank(next(labels), piece[2:-2]))
        elif piece.startswith("`"):
            parts.append(Code(piece[1:-1]))
        else:
            parts.append(piece)
    return tuple(parts)
