"""Sphinx settings. Formulas become MathML: every browser draws it, without JavaScript or a network."""

from __future__ import annotations

from docutils.nodes import SkipNode
from docutils.utils.math import latex2mathml

import denpa

project = "denpa"
author = "The denpa authors"
version = release = denpa.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "denpa"

autodoc_default_options = {"members": True, "imported-members": True, "show-inheritance": True}
autodoc_member_order = "groupwise"
autodoc_typehints = "none"


def show_as_written(app, what, name, obj, options, lines):
    """Docstrings are plain text whose formulas are set in columns: shown as they stand."""
    lines[:] = ["::", "", *(f"   {line}" for line in lines), ""] if any(lines) else []


def inline_formula(translator, node):
    """`$...$`. TeX that cannot be read raises an error, which ends the build."""
    translator.body.append(latex2mathml.tex2mathml(node.astext(), as_block=False))
    raise SkipNode


def block_formula(translator, node):
    """`$$...$$`"""
    translator.body.append(f"<div class='math'>{latex2mathml.tex2mathml(node.astext(), as_block=True)}</div>")
    raise SkipNode


def setup(app):
    app.connect("autodoc-process-docstring", show_as_written)
    app.add_html_math_renderer("mathml", (inline_formula, None), (block_formula, None))


html_math_renderer = "mathml"
