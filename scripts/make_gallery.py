"""Make docs/gallery.md and its pictures from results of studies.

denpa lab run all                       # into runs/lab
python scripts/make_gallery.py runs/lab

The pictures are made narrower and get a palette, so that each takes 60 kB at most.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from denpa.lab.studies import store
from denpa.lab.studies.registry import find

ROOT = Path(__file__).parents[1]
PAGE, FOLDER = ROOT / "docs" / "gallery.md", ROOT / "docs" / "gallery"
WIDEST, LARGEST = 1000, 60_000

# study, picture
SHOWN = (
    ("activations", "activations"),
    ("logic-gates", "gates"),
    ("gradient-check", "error-and-cost"),
    ("one-unit-chain", "locality"),
    ("letters", "noise"),
    ("activation-and-initialisation", "accuracy"),
    ("optimiser-race", "accuracy"),
    ("learning-curves", "curves"),
    ("valley", "paths"),
    ("cliff", "paths"),
    ("loss-surface", "runs"),
    ("vanishing-gradient", "deltas"),
    ("adagrad-starvation", "steps"),
    ("standardisation", "steps"),
    ("weight-decay", "shrinkage"),
    ("dropout-subnetworks", "movements"),
    ("receptive-field", "fields"),
    ("translation-equivariance", "shifts"),
    ("gradients-over-time", "jacobians"),
    ("long-range-memory", "accuracy"),
    ("next-word", "probability"),
    ("maxout", "pieces"),
)

HEAD = """# Gallery

What some studies of [the lab](lab.md) show, on small data and in seconds: each picture is made by the command above it,
as `docs/gallery.md` itself is by `scripts/make_gallery.py`. Bands and bounds are over {seeds} seeds.
"""


def main(results: Path) -> int:
    """Write the page and its pictures from a folder of results."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    stored = {name: store.read(results / name) for name, _ in SHOWN}
    parts = [HEAD.format(seeds=min(len(found.seeds) for found in stored.values()))]
    for name, picture in SHOWN:
        study, found = find(name), stored[name]
        content = small(results / name / f"{picture}.png")
        (FOLDER / f"{name}.png").write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
        caption = next(caption for kept, caption, _ in found.pictures if kept == picture)
        checks = "\n".join(
            f"| {c.claim.en.replace('|', '∣')} | {c.expected} | {c.measured} |" for c in found.checks[:4]
        )
        parts.append(
            f"## {study.title.en}\n\n```console\n$ denpa lab run {name}\n```\n\n{study.claim.en}\n\n"
            f"![{study.title.en}](gallery/{name}.png)\n\n{caption.en}\n\n"
            f"| | expected | measured |\n|---|---|---|\n{checks}\n"
        )
    PAGE.write_text("\n".join(parts), "utf-8")
    return 0


def small(path: Path) -> bytes:
    """A picture as PNG, as wide as the largest size allows; its palette takes in the colours of thin lines too."""
    picture = Image.open(path).convert("RGB")
    for width in (min(WIDEST, picture.width), 860, 720, 600):
        scaled = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
        for colours in (256, 128):
            content = io.BytesIO()
            scaled.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
                content, "PNG", optimize=True
            )
            if content.tell() <= LARGEST:
                return content.getvalue()
    raise SystemExit(f"{path} cannot be made smaller than {LARGEST:,} bytes.")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/lab")))
