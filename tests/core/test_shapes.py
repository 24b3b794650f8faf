"""Shape patterns: what fits passes, what does not is refused in words that help."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa.core.errors import ShapeError
from denpa.core.shapes import as_shape, want

shapes = st.lists(st.integers(1, 5), max_size=5).map(tuple)


@given(shapes)
def test_a_pattern_of_names_fits_exactly_its_rank(shape):
    for rank in range(6):
        pattern = " ".join("abcdef"[:rank])
        if rank == len(shape):
            assert want("owner", pattern, shape) == shape
        else:
            with pytest.raises(ShapeError):
                want("owner", pattern, shape)


@given(shapes, st.integers(0, 2), st.integers(0, 2))
def test_dots_stand_for_any_number_of_axes(shape, before, after):
    pattern = " ".join([*"abc"[:before], "...", *"xyz"[:after]])
    if len(shape) >= before + after:
        assert want("owner", pattern, shape) == shape
    else:
        with pytest.raises(ShapeError):
            want("owner", pattern, shape)


@given(shapes.filter(lambda shape: len(shape) >= 2), st.data())
def test_known_sizes_and_numbers_are_compared_at_their_place(shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    letters = list("abcde"[: len(shape)])
    pattern = " ".join(letters)
    assert want("owner", pattern, shape, {letters[axis]: shape[axis]}) == shape
    with pytest.raises(ShapeError):
        want("owner", pattern, shape, {letters[axis]: shape[axis] + 1})
    letters[axis] = str(shape[axis] + 1)
    with pytest.raises(ShapeError):
        want("owner", " ".join(letters), shape)


def test_sizes_behind_dots_are_counted_from_the_end():
    assert want("owner", "batch ... in", (2, 9, 9, 4), {"in": 4}) == (2, 9, 9, 4)
    with pytest.raises(ShapeError):
        want("owner", "batch ... in", (2, 4, 9), {"in": 4})


def test_arrays_are_taken_by_their_shape():
    assert want("owner", "a b", np.zeros((2, 3))) == (2, 3)


@pytest.mark.parametrize(
    ("pattern", "shape", "sizes", "message"),
    [
        ("batch in", (5, 3), {"in": 4}, "Layer() wants shape (batch in=4) but got (5, 3)."),
        ("batch 3", (5, 2), {}, "Layer() wants shape (batch 3) but got (5, 2)."),
        ("batch in", (4,), {"in": 4}, "but got (4,). Is the batch axis missing? Give one example as x[None]."),
        ("batch h w c", (28, 28, 1), {}, "Is the batch axis missing?"),
        ("height width channels", (8, 8), {}, "Is the axis of channels missing? Give x[..., None] for a single one."),
        ("time features", (6,), {}, "Is the axis of features missing?"),
        ("batch in", (4, 7), {"in": 4}, "Is it transposed? Samples are rows: try x.T."),
        ("in", (2, 3, 4), {"in": 24}, "Put a Flatten() in front to make one axis of them."),
    ],
)
def test_the_message_names_owner_pattern_shape_and_a_mend(pattern, shape, sizes, message):
    class Owner:
        def __repr__(self):
            return "Layer()"

    with pytest.raises(ShapeError) as caught:
        want(Owner(), pattern, shape, sizes)
    assert message in str(caught.value)


def test_no_hint_where_none_would_help():
    with pytest.raises(ShapeError) as caught:
        want("owner", "batch in", (5, 3), {"in": 4})
    assert str(caught.value).endswith("(5, 3).")


def test_as_shape():
    assert as_shape(3) == (3,)
    assert as_shape([np.int64(28), 28, 1]) == (28, 28, 1)
    with pytest.raises(ShapeError, match=r"sizes from 1 to .*, not \(0, 3\)"):
        as_shape((0, 3))
    with pytest.raises(ShapeError, match="sizes from 1 to"):
        as_shape((2**31, 3))  # which no array can have


@pytest.mark.parametrize("shape", ["ab", b"ab", None, True, (2, True), {3, 5}, {3: 5}, (2.0, 3)])
def test_what_is_no_shape(shape):
    with pytest.raises(ShapeError, match="tuple of integers"):
        as_shape(shape)
