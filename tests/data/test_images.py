from __future__ import annotations

import os
import re
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from denpa.core.errors import ConfigError, DataError, FileFormatError
from denpa.data.images import read_image_pairs, read_images, read_unsorted_images


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels, mode).save(path, **options) if mode else Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    made = {name: rng.integers(0, 256, (6, 5, 3)).astype(np.uint8) for name in ("dog/b.png", "cat/2.png", "cat/10.png")}
    for name, pixels in made.items():
        save(tmp_path / "photos" / name, pixels)
    return tmp_path / "photos", made


def test_classes_and_files_come_in_alphabetical_order(pictures):
    folder, made = pictures
    (folder / ".DS_Store").write_bytes(b"junk")
    (folder / "cat" / ".hidden").write_bytes(b"junk")
    (folder / "dog" / "Thumbs.db").write_bytes(b"junk")
    data = read_images(folder)
    assert data.class_names == ("cat", "dog")
    assert data.t.tolist() == [0, 0, 1]
    assert (data.x.dtype, data.t.dtype, data.task) == (np.uint8, np.int32, "classification")
    np.testing.assert_array_equal(data.x, np.stack([made["cat/10.png"], made["cat/2.png"], made["dog/b.png"]]))


def test_grayscale_is_luma(pictures):
    folder, made = pictures
    data = read_images(folder, grayscale=True)
    assert data.x.shape == (3, 6, 5, 1)
    np.testing.assert_allclose(data.x[2, ..., 0], made["dog/b.png"] @ [0.299, 0.587, 0.114], atol=1)


def test_sizes_must_agree_or_be_given(pictures):
    folder, _ = pictures
    flat = np.zeros((4, 8, 3), np.uint8)
    flat[:, 4:] = 200
    save(folder / "dog" / "a.png", flat)
    with pytest.raises(DataError, match=r"10\.png has \(6, 5\) \(height, width\), .*a\.png has \(4, 8\)\. Give size="):
        read_images(folder)
    (folder / "dog" / "a.png").rename(folder / "dog" / "z.png")
    save(folder / "dog" / "a.png", np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"10\.png has \(6, 5\) .*a\.png has \(6, 8\)"):
        read_images(folder)
    (folder / "dog" / "z.png").replace(folder / "dog" / "a.png")
    data = read_images(folder, size=(2, 4))
    assert data.x.shape == (4, 2, 4, 3)
    assert data.x[2, :, 0].max() == 0
    assert data.x[2, :, 3].min() == 200
    assert read_images(folder, size=3).x.shape == (4, 3, 3, 3)


def test_a_smaller_pixel_is_the_mean_of_what_it_covers(tmp_path):
    ramp = np.arange(0, 256, 16, dtype=np.uint8)
    save(tmp_path / "a" / "ramp.png", np.stack([ramp] * 4))
    found = read_images(tmp_path, size=(4, 4), grayscale=True).x[0, 1, :, 0]
    np.testing.assert_allclose(found[1:-1], ramp.reshape(4, 4).mean(axis=1)[1:-1], atol=1)  # not one of the four


def test_other_modes_become_three_channels(tmp_path):
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    save(tmp_path / "a" / "gray.png", gray)
    save(tmp_path / "b" / "clear.png", np.dstack([gray] * 4))
    x = read_images(tmp_path).x
    np.testing.assert_array_equal(x, np.stack([np.dstack([gray] * 3)] * 2))


def test_pictures_are_turned_upright(tmp_path):
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to view
    save(tmp_path / "a" / "turned.png", pixels, exif=exif)
    x = read_images(tmp_path).x
    assert x.shape == (1, 3, 2, 3)
    assert x[0, 0, 1].tolist() == [255] * 3


def test_files_that_are_no_images_are_named(pictures):
    folder, _ = pictures
    path = folder / "cat" / "notes.txt"
    path.write_text("not an image")
    with pytest.raises(FileFormatError, match=r"notes\.txt cannot be read as an image: not an image of a known kind"):
        read_images(folder)
    path.unlink()
    whole = (folder / "cat" / "2.png").read_bytes()
    (folder / "cat" / "2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match=r"2\.png cannot be read as an image: .* pass skip_bad=True"):
        read_images(folder)


@pytest.mark.parametrize(("kind", "ending"), [(np.uint16, "png"), (np.int32, "tif"), (np.float32, "tif")])
def test_deep_images_are_refused(tmp_path, kind, ending):
    save(tmp_path / "a" / f"deep.{ending}", np.full((2, 2), 40000, kind))
    with pytest.raises(FileFormatError, match=rf"deep\.{ending} has more than 8 bits per channel"):
        read_images(tmp_path)


def test_an_image_too_large_to_be_meant_is_named(pictures, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow refuses more than twice as many
    with pytest.raises(FileFormatError, match=r"10\.png cannot be read as an image: Image size \(30 pixels\)"):
        read_images(pictures[0])


def test_an_image_damaged_between_its_parts_is_named(tmp_path):
    """Where a part of its data should begin Pillow finds no name of one, and raises a SyntaxError."""
    save(tmp_path / "a" / "noise.png", np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8))
    path = tmp_path / "a" / "noise.png"
    whole = path.read_bytes()
    second = whole.index(b"IDAT", whole.index(b"IDAT") + 4)
    path.write_bytes(whole[:second] + b"\xff\xff\xff\xff" + whole[second + 4 :])
    with pytest.raises(FileFormatError, match=r"noise\.png cannot be read as an image: broken PNG file"):
        read_images(tmp_path)


def test_folders_of_another_form_are_refused(pictures, tmp_path):
    folder, _ = pictures
    with pytest.raises(DataError, match="is no folder"):
        read_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no subfolders"):
        read_images(folder / "cat")
    (folder / "emu").mkdir()
    with pytest.raises(DataError, match="emu is empty"):
        read_images(folder)
    (folder / "emu" / "young").mkdir()
    with pytest.raises(DataError, match="young is a folder inside a class"):
        read_images(folder)
    (folder / "readme.txt").write_text("stray")
    with pytest.raises(DataError, match=r"holds 'readme\.txt' beside"):
        read_images(folder)


@pytest.mark.parametrize("size", [0, (4,), (4, -1), (4.0, 4), 4.5, True, "big"])
def test_impossible_sizes_are_refused(pictures, size):
    with pytest.raises(ConfigError, match=r"size must be \(height, width\)"):
        read_images(pictures[0], size=size)


@pytest.mark.parametrize("option", ["skip_bad", "grayscale"])
def test_a_word_is_no_truth_value(pictures, option):
    with pytest.raises(ConfigError, match=f"{option} must be true or false, not 'no'"):
        read_images(pictures[0], **{option: "no"})


def test_without_pillow_the_extra_is_named(pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ConfigError, match=r'Reading images needs PIL: pip install "denpa\[images\]"'):
        read_images(pictures[0])


def test_files_that_are_no_images_can_be_left_out(pictures):
    folder, _ = pictures
    whole = read_images(folder, size=2)
    (folder / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (folder / "dog" / "notes.txt").write_text("no image")
    with pytest.warns(UserWarning, match=r"broken\.png cannot be read .* left out\. So are 1 more: .*notes\.txt"):
        found = read_images(folder, size=2, skip_bad=True)
    np.testing.assert_array_equal(found.x, whole.x)
    np.testing.assert_array_equal(found.t, whole.t)
    with pytest.warns(UserWarning, match="notes"):
        assert len(read_unsorted_images(folder / "dog", size=2, skip_bad=True).x) == int(np.sum(whole.t == 1))


@pytest.mark.parametrize("count", [2, 9])
def test_the_warning_of_images_left_out_names_five_others_and_the_callers_line(pictures, count):
    for number in range(count):
        (pictures[0] / "cat" / f"bad{number}.png").write_text("no image")
    with pytest.warns(UserWarning, match="left out") as caught:
        read_images(pictures[0], skip_bad=True)
    (warning,) = caught
    assert warning.filename == __file__
    first, others = str(warning.message).split(f" So are {count - 1} more: ")
    assert re.findall("bad[0-9]", first) == ["bad0"]
    assert re.findall("bad[0-9]", others) == [f"bad{number}" for number in range(1, min(count, 6))]


def test_a_class_that_is_left_without_images_is_named(pictures):
    folder, _ = pictures
    (folder / "dog" / "b.png").write_text("no image")
    with (
        pytest.warns(UserWarning, match=r"b\.png cannot be read"),
        pytest.raises(DataError, match="dog holds no readable image"),
    ):
        read_images(folder, skip_bad=True)


def test_images_without_targets_are_read_as_those_of_classes(pictures):
    folder, made = pictures
    for name in (".hidden", "desktop.ini"):
        (folder / "cat" / name).write_bytes(b"junk")
    data = read_unsorted_images(folder / "cat")
    assert data.t is None
    np.testing.assert_array_equal(data.x, np.stack([made["cat/10.png"], made["cat/2.png"]]))
    gray = read_unsorted_images(folder / "cat", size=2, grayscale=True)
    np.testing.assert_array_equal(gray.x, read_images(folder, size=2, grayscale=True).x[:2])


def test_pairs_are_scaled_and_grey_where_it_is_wanted(pictures, tmp_path):
    folder, _ = pictures
    for part, kind in (("input", "cat"), ("target", "cat")):
        shutil.copytree(folder / kind, tmp_path / "pairs" / part)
    pairs = read_image_pairs(tmp_path / "pairs", size=2, grayscale=True)
    wanted = read_images(folder, size=2, grayscale=True).x[:2]
    np.testing.assert_array_equal(pairs.x, wanted)
    np.testing.assert_array_equal(pairs.t, wanted)


def test_the_partner_of_a_file_that_is_no_image_is_left_out_too(tmp_path):
    for name in "abc":
        for part, value in (("input", ord(name)), ("target", ord(name) + 10)):
            save(tmp_path / part / f"{name}.png", np.full((2, 2, 3), value, np.uint8))
    (tmp_path / "target" / "b.png").write_text("no image")
    with pytest.warns(UserWarning, match=r"b\.png cannot be read"):
        pairs = read_image_pairs(tmp_path, skip_bad=True)
    np.testing.assert_array_equal(pairs.x[:, 0, 0, 0], [97, 99])
    np.testing.assert_array_equal(pairs.t[:, 0, 0, 0], [107, 109])


def test_pairs_belong_together_by_their_names_whatever_their_endings(tmp_path):
    """In the order of whole names img.copy.png stands in front of img.png, but img.bmp in front of img.copy.bmp."""
    for part, ending, more in (("input", "png", 0), ("target", "bmp", 1)):
        for name, value in (("img", 10), ("img.copy", 200)):
            save(tmp_path / part / f"{name}.{ending}", np.full((2, 2, 3), value + more, np.uint8))
    pairs = read_image_pairs(tmp_path)
    np.testing.assert_array_equal(pairs.x[:, 0, 0, 0], [10, 200])
    np.testing.assert_array_equal(pairs.t[:, 0, 0, 0], [11, 201])
    save(tmp_path / "target" / "img.png", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(DataError, match=r"img\.bmp and img\.png have the same name"):
        read_image_pairs(tmp_path)


def test_an_image_without_its_partner_is_named(tmp_path):
    for part, names in (("input", "ab"), ("target", "abc")):
        for name in names:
            save(tmp_path / part / f"{name}.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(DataError, match="'c' is in one of the folders"):
        read_image_pairs(tmp_path)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_class_whose_name_is_in_another_encoding_is_refused(pictures):
    folder, _ = pictures
    os.rename(folder / "cat", os.fsencode(folder) + "/猫".encode("cp932"))
    with pytest.raises(DataError, match=r"\\udc94L' has a name that is no UTF-8: rename it"):
        read_images(folder)
