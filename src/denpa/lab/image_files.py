"""Image files in the form that a trained model takes: its height, width and channels, its range of pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import DataError
from denpa.data.dataset import Dataset
from denpa.data.images import hidden, read_image_files, read_image_pairs, read_images, unreadable
from denpa.data.normalise import ScaleImages

__all__ = ["IMAGES", "images", "labelled_images"]

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def images(model: Any, path: Path, skip_bad: bool = False) -> tuple[np.ndarray, list[str]]:
    """An image, or all of a folder (by class or not), and the names of the files; `skip_bad` as for `read_images`.

    Hidden files, and those in hidden folders, are passed over.

    Raises:
        DataError, FileFormatError: no images, or they cannot be read; a model of something else.
    """
    if path.is_file():
        files, folder = [path], path.parent
    else:
        found, folder = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGES), path
        files = [file for file in found if not any(map(hidden, [file, *file.relative_to(path).parents]))]
    bad = unreadable(files, skip_bad)
    files = [file for file in files if file not in bad]
    if not files:
        raise DataError(f"The folder {folder} holds no {'readable ' if skip_bad else ''}images.")
    names = [str(file.relative_to(folder)) for file in files]
    return _in_range(model.normalizer, read_image_files(files, *_form(model))), names


def labelled_images(model: Any, folder: str, skip_bad: bool = False) -> Dataset:
    """A folder of images by class, or of pairs of images for a model that makes images; `skip_bad` as there.

    Raises:
        DataError, FileFormatError: they cannot be read; a model of something else.
    """
    read = read_image_pairs if model.loss.expects == "values" else read_images
    found = read(folder, *_form(model), skip_bad)
    return replace(found, x=_in_range(model.normalizer, found.x), t=_in_range(model.target_normalizer, found.t))


def _form(model: Any) -> tuple[tuple[int, int], bool]:
    """Height and width, and whether there is one channel: images are brought to what the model takes."""
    shape = model.in_shape
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise DataError(f"This model does not take images but examples of shape {shape}.")
    return shape[:2], shape[-1] == 1


def _in_range(normalizer: Any, pixels: Any) -> Any:
    """Pixels from 0 to 255 in the range that was learned from, such as from 0 to 16; the normaliser knows it."""
    if isinstance(normalizer, ScaleImages) and normalizer.maximum != 255:
        return pixels * np.float32(normalizer.maximum / 255)
    return pixels
