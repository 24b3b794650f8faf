"""A worksheet as one HTML file that needs nothing else."""

from __future__ import annotations

from html import escape

from denpa.lab.worksheet.document import Code, Equation, Inline, Paragraph, Step, WordBlank, Worksheet
from denpa.lab.worksheet.mathml import mathml

__all__ = ["html"]

_STYLE = """
:root { color-scheme: light; }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.6; color: #111; background: #fff;
  font-family: "Noto Serif", "DejaVu Serif", Georgia, "Hiragino Mincho ProN", "Yu Mincho", "Noto Serif CJK JP", serif; }
h1 { font-size: 1.6rem; line-height: 1.3; }
h2 { margin-top: 2.5rem; padding-bottom: .2rem; border-bottom: 2px solid #1b4f8a; font-size: 1.3rem; }
h3 { margin: 1.6rem 0 .3rem; font-size: 1.05rem; }
h3 .number { display: inline-block; min-width: 2rem; color: #1b4f8a; }
p { margin: .4rem 0; }
code { font-size: .9em; }
.equation { overflow-x: auto; overflow-y: hidden; padding: .35rem 0 .35rem 2rem; }
math { font-family: "STIX Two Math", "Latin Modern Math", "Cambria Math", "DejaVu Math TeX Gyre", math; }
math[display="block"] { width: max-content; margin: 0; font-size: 1.1em; }
mtd { padding: .15em .45em; }
mtable.cases mtd { text-align: left; }
.blank { margin: .15em; border: 1px solid #1b4f8a; background: #eef4fb; color: #1b4f8a; font-size: .75em; }
span.blank { display: inline-block; min-width: 9em; padding: .3em; text-align: center; line-height: 1.2; }
.answer { padding: .1em .15em; background: #fff3cd; border-bottom: 2px solid #b36b00; }
.label { color: #8a5200; font-size: .6em; }
span.answer { padding: 0 .2em; font-weight: bold; }
@media print { body { margin: 0; max-width: none; } .step { break-inside: avoid; } h2 { break-after: avoid; } }
"""


def html(worksheet: Worksheet, language: str, *, answers: bool) -> str:
    """The page.

    Args:
        worksheet: what to write.
        language: "en" or "ja".
        answers: with the answers; else with numbered boxes, and the answers are nowhere in the file.
    """
    title = escape(worksheet.title.in_(language))
    body = [f"<h1>{title}</h1>"]
    body += [_paragraph(paragraph, language, answers) for paragraph in worksheet.introduction]
    for section in worksheet.sections:
        body.append(f"<h2>{escape(section.title.in_(language))}</h2>")
        body += [_step(step, language, answers) for step in section.steps]
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _step(step: Step, language: str, answers: bool) -> str:
    lines = [f'<h3><span class="number">{step.number}</span> {escape(step.title.in_(language))}</h3>']
    for part in step.parts:
        if isinstance(part, Equation):
            lines.append(f'<div class="equation">{mathml(part.formula, answers=answers, display=True)}</div>')
        else:
            lines.append(_paragraph(part, language, answers))
    return f'<div class="step" id="step-{step.number}">\n' + "\n".join(lines) + "\n</div>"


def _paragraph(paragraph: Paragraph, language: str, answers: bool) -> str:
    return f"<p>{''.join(_inline(part, answers) for part in paragraph.in_(language))}</p>"


def _inline(part: Inline, answers: bool) -> str:
    if isinstance(part, str):
        return escape(part, quote=False)
    if isinstance(part, Code):
        return f"<code>{escape(part.text, quote=False)}</code>"
    if not isinstance(part, WordBlank):
        return mathml(part, answers=answers)
    if answers:
        return f'<span class="answer">{escape(part.answer, quote=False)}<sub class="label">{part.label}</sub></span>'
    return f'<span class="blank">{part.label}</span>'
