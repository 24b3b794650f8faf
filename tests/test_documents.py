"""The code in the documents runs: each document's Python blocks, one after another, as one script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docutils.utils.math import latex2mathml

ROOT = Path(__file__).parents[1]
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^(```+).*?^\1$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"(?<![\\$])\$(?!\$)([^$\n]+?)\$|\$\$(.+?)\$\$", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#:]+)(?:#[^)]*)?\)")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WITH_CODE = [document for document in DOCUMENTS if PYTHON.search(document.read_text("utf-8"))]

# What pytest would do with functions called test_*.
RUN_TESTS = "\n\nfor _name, _test in list(globals().items()):\n    if _name.startswith('test_'):\n        _test()\n"


@pytest.mark.parametrize("document", WITH_CODE, ids=lambda document: document.name)
def test_the_code_in_a_document_runs(document, tmp_path):
    script = tmp_path / "document.py"
    script.write_text("\n\n".join(PYTHON.findall(document.read_text("utf-8"))) + RUN_TESTS, "utf-8")
    # A process of its own: a layer defined here must not be known to the other tests.
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(document):
    missing = [link for link in LINK.findall(document.read_text("utf-8")) if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_formulas_are_ones_that_the_documentation_can_draw(document):
    for line, block in FORMULA.findall(FENCED.sub("", document.read_text("utf-8"))):
        latex2mathml.tex2mathml(line or block, as_block=bool(block))  # a MathError names what it cannot read
