r"""A worksheet as LaTeX source: pdflatex for English, lualatex with luatexja for Japanese."""

from __future__ import annotations

from denpa.lab.worksheet.document import Code, Equation, Inline, Paragraph, Step, WordBlank, Worksheet
from denpa.lab.worksheet.latex import escaped, latex

__all__ = ["latex_source"]

_ENGINE = {
    "en": "% pdflatex or lualatex\n\\documentclass[11pt,a4paper,fleqn]{article}\n",
    "ja": "% lualatex\n\\documentclass[11pt,a4paper,fleqn]{article}\n\\usepackage{luatexja}\n",
}
_PREAMBLE = r"""\usepackage[margin=22mm]{geometry}
\usepackage{amsmath}
\usepackage{amssymb}
\usepackage{xcolor}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\definecolor{worksheet}{HTML}{1B4F8A}
\newcommand{\blank}[3]{\vcenter{\hbox{\fbox{\vbox to #3{\vss
  \hbox{\hspace{#2}\scriptsize\color{worksheet}#1\hspace{#2}}\vss}}}}}
\newcommand{\answer}[2]{\underset{\text{\tiny\color{worksheet}#1}}{\boxed{#2}}}
\newcommand{\wordblank}[1]{\fbox{\rule[-0.4ex]{0pt}{2.2ex}\hspace{2em}{\scriptsize\color{worksheet}#1}\hspace{2em}}}
\newcommand{\wordanswer}[2]{\textbf{#2}\,{\tiny\color{worksheet}#1}}
\allowdisplaybreaks
"""


def latex_source(worksheet: Worksheet, language: str, *, answers: bool) -> str:
    """The source of the whole document; arguments as for `html`."""
    body = [rf"\title{{{escaped(worksheet.title.in_(language))}}}", r"\author{}", r"\date{}", r"\maketitle"]
    body += [_paragraph(paragraph, language, answers) for paragraph in worksheet.introduction]
    for section in worksheet.sections:
        body.append(rf"\section*{{{escaped(section.title.in_(language))}}}")
        body += [_step(step, language, answers) for step in section.steps]
    lines = "\n".join(body)
    return f"{_ENGINE[language]}{_PREAMBLE}\\begin{{document}}\n{lines}\n\\end{{document}}\n"


def _step(step: Step, language: str, answers: bool) -> str:
    lines = [rf"\subsection*{{{step.number}\quad {escaped(step.title.in_(language))}}}"]
    for part in step.parts:
        if isinstance(part, Equation):
            lines.append(rf"\[ {latex(part.formula, answers=answers)} \]")
        else:
            lines.append(_paragraph(part, language, answers))
    return "\n".join(lines)


def _paragraph(paragraph: Paragraph, language: str, answers: bool) -> str:
    return "".join(_inline(part, answers) for part in paragraph.in_(language)) + "\n"


def _inline(part: Inline, answers: bool) -> str:
    if isinstance(part, str):
        return escaped(part)
    if isinstance(part, Code):
        return rf"\texttt{{{escaped(part.text)}}}"
    if not isinstance(part, WordBlank):
        return f"${latex(part, answers=answers)}$"
    if answers:
        return rf"\wordanswer{{{part.label}}}{{{escaped(part.answer)}}}"
    return rf"\wordblank{{{part.label}}}"
