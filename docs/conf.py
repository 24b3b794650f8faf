"""Sphinx settings. Formulas become MathML: every browser draws it, without JavaScript or a network."""

from __future__ import annotations

from docutils.nodes import SkipNode
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

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


def mathml(node, as_block):
    """TeX that docutils cannot read is a warning with its place, which `make docs` turns into a failure."""
    try:
        return latex2mathml.tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s In: %s", error, node.astext(), location=node)
        return ""


def inline_formula(translator, node):
    """`$...$`"""
    translator.body.append(mathml(node, as_block=False))
    raise SkipNode


def block_formula(translator, node):
    """`$$...$$`"""
    translator.body.append(f"<div class='math'>{mathml(node, as_block=True)}</div>")
    raise SkipNode


def setup(app):
    app.connect("autodoc-process-docstring", show_as_written)
    app.add_html_math_renderer("mathml", (inline_formula, None), (block_formula, None))


html_math_renderer = "mathml"
