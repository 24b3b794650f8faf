"""Make src/denpa/data/digits.npz, the embedded data set `digits`, from scikit-learn's copy.

    python scripts/embed_digits.py        (needs scikit-learn)

The file holds the images and labels as bytes; running this again gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TARGET = Path(__file__).resolve().parent.parent / "src" / "denpa" / "data" / "digits.npz"


def main() -> None:
    """Write the images (1797, 8, 8, 1), values 0..16, and the labels (1797,), both uint8."""
    bunch = load_digits()
    images = bunch.images.astype(np.uint8)[..., None]
    if not np.array_equal(images[..., 0], bunch.images):
        raise SystemExit("The images are not whole numbers: this is not the data set that was expected.")
    np.savez_compressed(TARGET, images=images, labels=bunch.target.astype(np.uint8))
    print(f"{TARGET}: {len(images)} images, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
