"""One page of HTML with everything in it: no other file, no script, nothing from the network."""

from __future__ import annotations

import base64
import html
import io
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import denpa
from denpa.lab.studies.store import Stored
from denpa.lab.studies.study import Study, Text
from denpa.lab.studies.terms import in_japanese, words_apart

__all__ = ["page"]

_LEFT_ALIGNED = re.compile(r'font-size: ([\d.]+)px[^>]*text-anchor: start" x="([\d.]+)"[^>]*>([^<>]+)</text>')

_STYLE = """
body{font:16px/1.6 system-ui,"Hiragino Sans","Noto Sans CJK JP","Yu Gothic",sans-serif;max-width:62rem;margin:2rem auto;
padding:0 1rem;color:#111;background:#fff}
h1,h2,h3{line-height:1.25}h2{border-bottom:2px solid #0072B2;margin-top:3rem}h3{margin-top:2.5rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc;
vertical-align:top}td.n{white-space:nowrap;font-variant-numeric:tabular-nums}
.yes{background:#d9f2e6}.no{background:#fbd9c8}.yes td:first-child::before{content:"✓ ";color:#00684a;font-weight:bold}
.no td:first-child::before{content:"✗ ";color:#a63603;font-weight:bold}
.but{border-left:4px solid #E69F00;padding:.2rem .8rem;background:#fff7e6}
.remark{border-left:4px solid #0072B2;padding:.2rem .8rem;background:#eef6fb}.setting{color:#444;font-size:.9rem}
figure{margin:1rem 0}img{max-width:100%;height:auto}figcaption{color:#444;font-size:.9rem}.formula{margin:.6rem 0}
.formula img{vertical-align:middle}.formula span{margin-right:.4rem}.formula img+span{margin-left:1.6rem}
nav li.bad{color:#a63603;font-weight:bold}
@media print{h3{break-before:page}body{max-width:none}}
"""

_WORDS = {
    "title": Text("What the experiments say", "実験の結果"),
    "made": Text("Made by denpa", "作成：denpa"),
    "passed": Text("checks passed", "件の検証に合格"),
    "check": Text("Check", "検証"),
    "expected": Text("Expected", "期待値"),
    "measured": Text("Measured: mean [least … largest over the seeds]", "測定値：平均［シード間の最小 … 最大］"),
    "contradicts": Text("The common claim does not hold here.", "よく言われる主張はここでは成り立たない。"),
    "quick": Text("quick", "短縮版"),
    "full": Text("full", "完全版"),
    "seeds": Text("seeds", "シード"),
    "seconds": Text("s", "秒"),
    "remark": Text("Remark", "注意"),
    "but": Text("What does not hold up", "主張どおりでない点"),
    "colon": Text(":", "："),
    "comma": Text(", ", "、"),
    "stop": Text(". ", "。"),
    "space": Text(" ", ""),
    "png": Text(
        "Pictures as PNG and SVG, and the numbers as CSV, lie beside this page in a folder for each study.",
        "図の PNG・SVG と数値の CSV は、実験ごとのフォルダにある。PNG の文字は英語と数式である。",
    ),
}


def page(results: Iterable[tuple[Study, Stored]], language: str = "en") -> str:
    """The report of results, under the headings of their chapters.

    Args:
        results: studies with what they have shown.
        language: "en" or "ja".
    """
    results = list(results)
    checks = [check for _, stored in results for check in stored.checks]
    good = sum(check.passed for check in checks)
    title = _WORDS["title"].of(language)
    head = (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
    )
    counted = f"{good} / {len(checks)} {_WORDS['passed'].of(language)}"
    made = f"{_WORDS['made'].of(language)} {denpa.__version__}"
    stop = _WORDS["stop"].of(language)
    intro = f"<h1>{title}</h1><p>{made}{stop}{counted}{stop}{_WORDS['png'].of(language)}</p>"
    parts, contents, chapter = [], [], None
    for study, stored in results:
        if study.chapter != chapter:
            chapter = study.chapter
            parts.append(f"<h2>{html.escape(chapter.of(language))}</h2>")
        kind = "" if stored.passed else ' class="bad"'
        contents.append(f'<li{kind}><a href="#{study.name}">{html.escape(study.title.of(language))}</a></li>')
        parts.append(_section(study, stored, language))
    return f"{head}{intro}<nav><ul>{''.join(contents)}</ul></nav>{''.join(parts)}</body></html>\n"


def _section(study: Study, stored: Stored, language: str) -> str:
    run = _WORDS["full" if stored.full else "quick"].of(language)
    seeds = f"{_WORDS['seeds'].of(language)} {', '.join(map(str, stored.seeds))}"
    seconds = f"{stored.seconds:.1f} {_WORDS['seconds'].of(language)}"
    colon, comma, space = (_WORDS[sign].of(language) for sign in ("colon", "comma", "space"))
    facts = f"<code>denpa lab run {study.name}</code>{colon}{space}{comma.join((run, seeds, seconds))}"
    settings = [study.setting] if stored.setting is None else [study.setting, stored.setting]
    lines = [
        f'<section id="{study.name}"><h3>{html.escape(study.title.of(language))}</h3>',
        f"<p>{html.escape(study.claim.of(language))}</p>",
        *(_formula(formula, language) for formula in study.formula),
        f'<p class="setting">{space.join(html.escape(text.of(language)) for text in settings)}</p>',
        *(_picture(stored.folder, *picture, language) for picture in stored.pictures),
        _checks(stored, language),
    ]
    if study.remark is not None:
        kind = "but" if study.contradicts else "remark"
        remark = html.escape(study.remark.of(language))
        lines.append(f'<p class="{kind}"><b>{_WORDS[kind].of(language)}{colon}</b>{space}{remark}</p>')
    return "\n".join([*lines, f'<p class="setting">{facts}</p></section>'])


def _checks(stored: Stored, language: str) -> str:
    head = "".join(f"<th>{_WORDS[word].of(language)}</th>" for word in ("check", "expected", "measured"))
    rows = []
    for check in stored.checks:
        note = f"<br><small>{_WORDS['contradicts'].of(language)}</small>" if check.contradicts else ""
        cells = f'<td class="n">{check.expected}</td><td class="n">{check.measured}</td>'
        kind = "yes" if check.passed else "no"
        rows.append(f'<tr class="{kind}"><td>{html.escape(check.claim.of(language))}{note}</td>{cells}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _picture(folder: Path, name: str, caption: Text, animated: bool, language: str) -> str:
    words = html.escape(caption.of(language))
    svg = (folder / f"{name}.svg").read_text("utf-8")
    images = [_image("svg+xml", (translated(svg) if language == "ja" else svg).encode(), words)]
    if animated:
        images.append(_image("gif", (folder / f"{name}.gif").read_bytes(), words))
    return f"<figure>{''.join(images)}<figcaption>{words}</figcaption></figure>"


def translated(svg: str) -> str:
    """An SVG with the words that `terms` knows in Japanese; the reader's own font shows them.

    It becomes wider where a legend would go beyond its edge.
    """

    def turned(match: re.Match[str]) -> str:
        return f">{html.escape(in_japanese(html.unescape(match[1])), quote=False)}</text>"

    svg = re.sub(r">([^<>]+)</text>", turned, svg)
    ends = [float(x) + float(size) * _ems(html.unescape(words)) for size, x, words in _LEFT_ALIGNED.findall(svg)]

    def widened(match: re.Match[str]) -> str:
        width = max([float(match[1]), *ends])
        return f'width="{width:g}pt"{match[2]}{width:g} '

    return re.sub(r'width="([\d.]+)pt"( height="[^"]*" viewBox="0 0 )[\d.]+ ', widened, svg, count=1)


def _ems(words: str) -> float:
    """About how wide words are set, in sizes of the font."""
    return 0.3 + sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.65 for letter in words)


def _formula(formula: str, language: str) -> str:
    """A formula as a picture; in Japanese its words stand between pictures, for mathtext has no Japanese letters."""
    parts = words_apart(formula) if language == "ja" else [(formula, "")]
    shown = [_typeset(part) if part else f"<span>{html.escape(word)}</span>" for part, word in parts]
    return f'<div class="formula">{"".join(shown)}</div>'


def _typeset(formula: str) -> str:
    """A picture with the LaTeX as the alternative text."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "path", "mathtext.fontset": "cm", "svg.hashsalt": formula}):
        figure, content = Figure(figsize=(0.1, 0.1)), io.BytesIO()
        figure.text(0, 0, f"${formula}$", fontsize=14)
        figure.savefig(content, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    return _image("svg+xml", content.getvalue(), html.escape(formula))


def _image(kind: str, content: bytes, words: str) -> str:
    return f'<img alt="{words}" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'
