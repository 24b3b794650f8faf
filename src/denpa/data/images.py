"""A folder of images by class, through the optional package Pillow."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError, FileFormatError
from denpa.data.arguments import as_flag, as_path
from denpa.data.dataset import Dataset
from denpa.data.extras import optional

__all__ = ["hidden", "read_image_files", "read_image_pairs", "read_images", "read_unsorted_images", "unreadable"]

_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def read_images(
    folder: str | Path, size: tuple[int, int] | int | None = None, grayscale: bool = False, skip_bad: bool = False
) -> Dataset:
    """The images below `folder`, one subfolder per class: uint8 (n, height, width, 3), or 1 if `grayscale`.

        folder/cat/001.png   folder/cat/002.jpg   folder/dog/a.png  ->  classes cat 0, dog 1

    Classes and files come in alphabetical order. Hidden files are passed over; every other file must be an
    image. Pictures are turned upright as their camera noted (Exif), transparency is dropped.

    Args:
        folder: holds one subfolder per class and nothing else that is not hidden.
        size: (height, width), or one number for a square, to which every image is scaled (bilinear). None
            wants all images to have one size already.
        grayscale: one channel in place of three (luma of ITU-R BT.601).
        skip_bad: leave files out that cannot be read, with a warning that names them, in place of an error.

    Raises:
        DataError: no such folder, no subfolders, an empty one or one whose name is no UTF-8, images of different sizes
            while `size` is None.
        FileFormatError: a file that is no readable image, or has more than 8 bits per channel; it is named, and
            `skip_bad` leaves it out.
        ConfigError: Pillow is not installed, or `size` makes no sense.
    """
    folder = as_path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: read_images wants one with a subfolder of images per class.")
    entries = [entry for entry in sorted(folder.iterdir()) if not hidden(entry)]
    classes = [entry for entry in entries if entry.is_dir()]
    if not classes:
        raise DataError(f"{folder} has no subfolders: it wants one per class, such as {folder / 'cat'}.")
    stray = [entry.name for entry in entries if not entry.is_dir()]
    if stray:
        raise DataError(f"{folder} holds {stray[0]!r} beside the classes' subfolders: move it into one, or away.")
    paths, labels = [], []
    for label, subfolder in enumerate(classes):
        found = [path for path in sorted(subfolder.iterdir()) if not hidden(path)]
        if not found:
            raise DataError(f"The class folder {subfolder} is empty.")
        if any("\ud800" <= sign <= "\udfff" for sign in subfolder.name):  # Python's for what it cannot read
            raise DataError(f"The class folder {str(subfolder)!r} has a name that is no UTF-8: rename it.")
        paths += found
        labels += [label] * len(found)
    names = tuple(subfolder.name for subfolder in classes)
    if bad := unreadable(paths, skip_bad):
        kept = [place for place, path in enumerate(paths) if path not in bad]
        paths, labels = [paths[place] for place in kept], [labels[place] for place in kept]
        if empty := sorted(set(range(len(classes))) - set(labels)):
            raise DataError(f"The class folder {classes[empty[0]]} holds no readable image.")
    images = read_image_files(paths, size, grayscale)
    return Dataset(images, np.array(labels, np.int32), "classification", names, name=str(folder))


def read_unsorted_images(
    folder: str | Path, size: tuple[int, int] | int | None = None, grayscale: bool = False, skip_bad: bool = False
) -> Dataset:
    """The images in `folder`, without targets; otherwise as `read_images`."""
    paths = _files_in(Path(folder))
    bad = unreadable(paths, skip_bad)
    return Dataset(read_image_files([path for path in paths if path not in bad], size, grayscale), name=str(folder))


def read_image_pairs(
    folder: str | Path, size: tuple[int, int] | int | None = None, grayscale: bool = False, skip_bad: bool = False
) -> Dataset:
    """Images x below `folder/input` with the images t of the same file names below `folder/target`.

    For networks from image to image: noisy and clean, grey and coloured, small and large. With `skip_bad` the partner
    of a file that is no image is left out too. Otherwise as `read_images`.

    Raises:
        DataError: one of the subfolders is not there, holds an image that the other lacks, or two of one name.
    """
    found = [sorted(_files_in(Path(folder) / part), key=lambda path: path.stem) for part in ("input", "target")]
    for paths in found:
        for one, other in itertools.pairwise(paths):
            if one.stem == other.stem:
                raise DataError(f"{one} and {other.name} have the same name: which of them is of the pair?")
    names = [{path.stem for path in paths} for paths in found]
    if alone := sorted(names[0] ^ names[1]):
        raise DataError(f"{folder}: {alone[0]!r} is in one of the folders input and target only.")
    bad = {path.stem for path in unreadable([*found[0], *found[1]], skip_bad)}
    found = [[path for path in paths if path.stem not in bad] for paths in found]
    x, t = (read_image_files(paths, size, grayscale) for paths in found)
    return Dataset(x, t, "regression", name=str(folder))


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} cannot be read: there is no such folder of images.")
    return [path for path in sorted(folder.iterdir()) if not hidden(path)]


def unreadable(paths: Sequence[Path], skip_bad: bool) -> set[Path]:
    """The files that are no readable images, where `skip_bad` leaves such out; a warning names them.

    Raises:
        ConfigError: `skip_bad` is neither true nor false.
    """
    if not as_flag(skip_bad, "skip_bad"):
        return set()
    pillow, bad = optional("PIL.Image", "images", "Reading images"), {}
    for path in paths:
        try:
            _pixels(pillow, path, (1, 1), True)
        except FileFormatError as error:
            bad[path] = str(error)
    if bad:
        first, *others = bad.values()
        more = f" So are {len(others)} more: {', '.join(map(str, [*bad][1:6]))}." if others else ""
        warnings.warn(f"{first} It is left out.{more}", UserWarning, stacklevel=3)
    return set(bad)


def read_image_files(
    paths: Sequence[str | Path], size: tuple[int, int] | int | None = None, grayscale: bool = False
) -> np.ndarray:
    """Images from files: uint8 (n, height, width, 3), or 1 if `grayscale`; else as `read_images`."""
    shape, grayscale = _shape(size), as_flag(grayscale, "grayscale")
    pillow = optional("PIL.Image", "images", "Reading images")
    images: list[np.ndarray] = []
    for path in map(Path, paths):
        try:
            images.append(_pixels(pillow, path, shape, grayscale))
        except FileFormatError as error:
            advice = " Mend it or take it away, or pass skip_bad=True to leave it out." if len(paths) > 1 else ""
            raise FileFormatError(f"{error}{advice}") from None
        if images[-1].shape != images[0].shape:
            raise DataError(
                f"Images have different sizes: {paths[0]} has {images[0].shape[:2]} (height, width), {path} has "
                f"{images[-1].shape[:2]}. Give size=(height, width) to scale them all."
            )
    if not images:
        raise DataError("There are no images to read.")
    return np.stack(images)


def hidden(path: Path) -> bool:
    """Whether a file or folder is one that systems keep beside the user's own."""
    return path.name.startswith(".") or path.name.lower() in ("thumbs.db", "desktop.ini")


def _shape(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in pair):
        raise ConfigError(f"size must be (height, width) in pixels, not {size!r}.")
    return int(pair[0]), int(pair[1])


def _pixels(pillow: Any, path: Path, shape: tuple[int, int] | None, grayscale: bool) -> np.ndarray:
    ops = optional("PIL.ImageOps", "images", "Reading images")
    if path.is_dir():
        raise DataError(f"{path} is a folder inside a class: class folders hold images alone.")
    try:
        with pillow.open(path) as file:
            if file.mode in _DEEP:
                raise FileFormatError(
                    f"{path} has more than 8 bits per channel (mode {file.mode}): convert it to 8 bits."
                )
            image = ops.exif_transpose(file).convert("L" if grayscale else "RGB")
    except FileFormatError:
        raise
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        reason = "not an image of a known kind" if isinstance(error, pillow.UnidentifiedImageError) else error
        raise FileFormatError(f"{path} cannot be read as an image: {reason}.") from None
    if shape is not None:
        image = image.resize((shape[1], shape[0]), pillow.Resampling.BILINEAR)
    pixels = np.asarray(image, np.uint8)
    return pixels[..., None] if grayscale else pixels
