"""Copy the latest results into docs/benchmarks.md and docs/benchmarks_avx512.md, between their marks.

python benchmarks/write_docs.py
"""

from __future__ import annotations

import re

from harness.machine import ROOT

RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    for place in ROOT.glob("docs/benchmarks*.md"):
        page = place.read_text("utf-8")
        for name in re.findall(r"<!-- results: ([\w/]+) -->", page):
            path = RESULTS / f"{name}.md"
            if path.exists():
                page = filled(page, name, path.read_text("utf-8"))
        place.write_text(page, "utf-8")


def filled(page: str, name: str, results: str) -> str:
    """The page with one benchmark's results between its marks; pictures are looked for where the results lie."""
    results = re.sub(r"(!\[[^\]]*\]\()(\w+\.png\))", r"\1../benchmarks/results/\2", results.strip())
    first, last = f"<!-- results: {name} -->", f"<!-- end of {name} -->"
    before, _, rest = page.partition(first)
    _, _, after = rest.partition(last)
    return f"{before}{first}\n\n{results}\n\n{last}{after}"


if __name__ == "__main__":
    main()
