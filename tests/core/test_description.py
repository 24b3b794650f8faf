"""Descriptions: hashed and compared by value, printed as code, saved as plain values."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import tomllib
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from denpa.core.description import Description, from_config, registered, replace, to_config
from denpa.core.errors import ConfigError


@dataclass(frozen=True)
class Knob(Description):
    """A description with every kind of field."""

    rate: float
    units: int = 3
    label: str = "a"
    on: bool = True
    bounds: tuple[float, ...] = ()
    limit: float | None = None
    below: tuple[Any, ...] = ()
    parts: tuple[Any, ...] = field(default_factory=list)
    side: Literal["left", "right"] | None = "left"


@dataclass(frozen=True)
class Dial(Knob):
    """A kind of knob that refuses some rates."""

    def validate(self) -> None:
        if self.rate < 0:
            raise ConfigError(f"Dial.rate must be >= 0, not {self.rate}.")


names = st.text(max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
knobs = st.recursive(
    st.builds(Knob, numbers, st.integers(-9, 9), names, st.booleans(), st.lists(numbers, max_size=3), numbers),
    lambda inner: st.builds(Knob, numbers, below=st.lists(st.tuples(names, inner), max_size=3), parts=st.tuples(inner)),
    max_leaves=5,
)


@given(knobs)
def test_repr_is_the_code_that_makes_it(knob):
    again = eval(repr(knob), {"Knob": Knob})
    assert again == knob
    assert hash(again) == hash(knob)
    assert repr(again) == repr(knob)


@given(knobs)
def test_survives_json(knob):
    again = from_config(json.loads(json.dumps(to_config(knob))), Knob)
    assert again == knob
    assert repr(again) == repr(knob)


@given(knobs)
def test_survives_toml(knob):
    again = from_config(tomllib.loads(tomli_w.dumps(to_config(knob))), Knob)
    assert again == knob
    assert repr(again) == repr(knob)


def test_repr_leaves_out_defaults_and_names_what_follows_a_gap():
    assert repr(Knob(1)) == "Knob(1.0)"
    assert repr(Knob(0.5, 7)) == "Knob(0.5, 7)"
    assert repr(Knob(0.5, on=False, bounds=[1])) == "Knob(0.5, on=False, bounds=(1.0,))"
    assert repr(Knob(0.5, below=(Knob(1), "x"))) == "Knob(0.5, below=(Knob(1.0), 'x'))"


def test_config_leaves_out_defaults():
    assert to_config(Knob(0.5, limit=2)) == {"type": "Knob", "rate": 0.5, "limit": 2.0}


@pytest.mark.parametrize("rate", [1, np.float32(1), np.int64(1), np.float64(1), np.array(1)])
def test_numbers_take_one_form(rate):
    """1 and 1.0 hash alike, so they must also trace alike."""
    knob = Knob(rate, limit=rate, bounds=(rate, rate))
    assert knob == Knob(1.0, limit=1.0, bounds=(1.0, 1.0))
    assert [type(v) for v in (knob.rate, knob.limit, *knob.bounds)] == [float] * 4
    assert repr(knob) == "Knob(1.0, bounds=(1.0, 1.0), limit=1.0)"


def test_scalars_and_arrays_of_numpy_become_plain():
    knob = Knob(0.1, np.int32(4), np.str_("b"), np.bool_(False), np.array([1.5, 2.5]), below=np.arange(2))
    assert json.dumps(to_config(knob)) == json.dumps(
        {"type": "Knob", "rate": 0.1, "units": 4, "label": "b", "on": False, "bounds": [1.5, 2.5], "below": [0, 1]}
    )
    assert type(knob.units) is int
    assert type(knob.label) is str
    assert type(knob.on) is bool
    hash(knob)


def test_integers_stay_integers_where_no_float_is_asked_for():
    assert type(Knob(1, np.int8(2)).units) is int
    assert Knob(1, below=(1, 2)).below == (1, 2)
    assert [type(v) for v in Knob(1, below=(1, 2.0)).below] == [int, float]


def test_a_flag_is_no_integer():
    with pytest.raises(ConfigError, match=r"Knob\.units must be an integer, not True"):
        Knob(1, True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"units": "3"}, r"Knob\.units must be an integer, not '3'"),
        ({"units": 2.5}, r"Knob\.units must be an integer, not 2\.5"),
        ({"label": 7}, r"Knob\.label must be a text, not 7"),
        ({"side": "up"}, r'Knob\.side must be "left" or "right", not \'up\''),
        ({"side": 1}, r'Knob\.side must be "left" or "right", not 1'),
    ],
)
def test_a_field_takes_what_its_annotation_says(fields, message):
    with pytest.raises(ConfigError, match=message):
        Knob(1.0, **fields)
    assert Knob(1.0, side=None).side is None
    assert Knob(1.0, side="right").side == "right"


def test_annotations_that_are_no_texts_say_the_same():
    made = dataclass(frozen=True)(type("Made", (Description,), {"__annotations__": {"rate": float, "units": int}}))
    assert type(made(1, 2).rate) is float
    with pytest.raises(ConfigError, match=r"Made\.units must be an integer, not 'x'"):
        made(1, "x")


def test_lists_become_tuples_so_that_it_can_be_hashed():
    knob = Knob(1, below=[1, [2, [3]]])
    assert knob.below == (1, (2, (3,)))
    assert hash(knob) == hash(Knob(1, below=(1, (2, (3,)))))


def test_a_default_that_is_a_list_is_not_shared_and_not_mutable():
    first, second = Knob(1), Knob(1)
    assert first.parts == second.parts == ()
    assert first == second
    assert eval(repr(first)) == first


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float32("nan"), np.array(np.inf)])
@pytest.mark.parametrize("where", ["rate", "limit", "bounds", "below"])
def test_not_a_number_is_refused(where, value):
    """NaN is unequal to itself: a description that holds it would never find its compiled program again."""
    fields = {"rate": 1.0, where: value if where in ("rate", "limit") else [1.0, [value]]}
    with pytest.raises(ConfigError, match=rf"Knob\.{where} must be a finite number, not"):
        Knob(**fields)


def test_equality_is_by_value_and_by_class():
    assert Knob(1.0) != Knob(2.0)
    assert Knob(1.0) != Dial(1.0)
    assert Dial(1.0) == Dial(1)
    assert len({Dial(1), Dial(1.0), Dial(2)}) == 2


def test_it_cannot_be_changed_but_replaced():
    knob = Knob(1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        knob.rate = 2.0
    assert knob.replace(units=5) == replace(knob, units=5) == Knob(1.0, 5)
    assert knob == Knob(1.0)
    with pytest.raises(ConfigError, match="Knob has no option 'unit': did you mean 'units'"):
        knob.replace(unit=5)


def test_validate_also_guards_configs_and_replacements():
    for make in (lambda: Dial(-1), lambda: Dial(1).replace(rate=-1), lambda: from_config({"type": "Dial", "rate": -1})):
        with pytest.raises(ConfigError, match=r"Dial\.rate must be >= 0, not -1\.0"):
            make()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rate": 1.0}, "Missing 'type' at here: it names the class"),
        ({"type": "Knop", "rate": 1.0}, "Unknown knob 'Knop' at here: did you mean 'Knob'?"),
        ({"type": "dial", "rate": 1.0}, "Unknown knob 'dial' at here: did you mean 'Dial'?"),
        ({"type": 3, "rate": 1.0}, "Unknown knob 3 at here"),
        ({"type": "Dense", "units": 1}, "Unknown knob 'Dense' at here"),
        ({"type": "Knob", "rat": 1.0}, "Knob has no option 'rat' at here: did you mean 'rate'?"),
        ({"type": "Knob", "below": [{"type": "Knob", "rate": 1, "on_": True}]}, "'on_' at here.below[0]"),
        (
            {"type": "Knob", "rate": 1, "below": [["a", {"type": "Nob"}]]},
            "Unknown description 'Nob' at here.below[0][1]",
        ),
        ({"type": "Knob"}, "Knob at here: missing 1 option: 'rate'"),
        ({"type": "Knob", "rate": "high"}, "Knob.rate must be a number, not 'high'."),
        (
            {"type": "Knob", "rate": 1, "below": [{"type": "Knob", "rate": "high"}]},
            "Knob.rate must be a number, not 'high'. It stands at here.below[0].",
        ),
        ({"type": "Knob", "rate": [1, 2]}, "Knob.rate must be a number, not (1, 2)"),
        ({"type": "Knob", "rate": True}, "Knob.rate must be a number, not True"),
        ({"type": "Knob", "rate": 1, "on": "no"}, "Knob.on must be true or false, not 'no'"),
        ({"type": "Knob", "rate": 1, "on": 1}, "Knob.on must be true or false, not 1"),
    ],
)
def test_a_bad_config_is_refused_with_place_and_nearest_name(config, message):
    with pytest.raises(ConfigError) as caught:
        from_config(config, Knob, "here")
    assert message in str(caught.value)


def test_without_a_near_name_all_are_listed():
    with pytest.raises(ConfigError, match="known options: below, bounds, label, limit, on, parts, rate, side, units"):
        from_config({"type": "Knob", "rate": 1, "zzz": 2})


def test_registered_lists_usable_classes_of_a_kind():
    assert registered(Knob) == {"Dial": Dial, "Knob": Knob}


def test_a_class_of_ones_own_may_be_defined_again():
    def define(default):
        @dataclass(frozen=True)
        class Lever(Description):
            length: float = default

        return Lever

    define(1.0)
    second = define(2.0)
    assert type(from_config({"type": "Lever"})) is second


def test_options_by_name_alone_come_last_and_are_inherited():
    @dataclass(frozen=True, kw_only=True)
    class Mounted(Description):
        height: float = 1.0

    @dataclass(frozen=True)
    class Lamp(Mounted):
        watts: int
        colour: str = "white"

    assert repr(Lamp(5)) == "Lamp(5)"
    assert repr(Lamp(5, "red", height=2)) == "Lamp(5, 'red', height=2.0)"
    assert from_config(to_config(Lamp(5, height=2))) == Lamp(5, height=2)
    with pytest.raises(ConfigError, match=r"Lamp takes \(watts, colour\), not 3 values: give other options by name"):
        Lamp(5, "red", 2)  # pyright: ignore[reportCallIssue]


def test_a_class_of_ones_own_without_fields_needs_no_decorator():
    class Bell(Description):
        pass

    assert registered(Bell) == {"Bell": Bell}  # before there is any
    assert Bell() == from_config({"type": "Bell"}) == copy.deepcopy(Bell())
    assert hash(Bell()) == hash(Bell())
    assert repr(Bell()) == "Bell()"
    assert to_config(Bell()) == {"type": "Bell"}
    assert Bell().replace() == Bell()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Bell().tone = 1
    with pytest.raises(ConfigError, match=r"Bell takes \(\), not 1 values: write Bell\(\)"):
        Bell(3)

    class Gong(Bell):
        loud: ClassVar[bool] = True

    assert Gong() == Gong() != Bell()

    @dataclass(frozen=True)
    class Chime(Bell):
        tone: int = 2

    assert repr(Chime(3)) == "Chime(3)"

    class Bell(Description):  # again, as in a notebook
        pass

    assert type(from_config({"type": "Bell"})) is Bell


class Plain(Description):
    """Where pickle finds it."""


def test_a_class_without_a_decorator_is_pickled():
    assert pickle.loads(pickle.dumps(Plain())) == Plain()


def test_fields_without_a_decorator_are_refused():
    class Slider(Description):
        length: float = 1.0

    class Fader(Knob):
        curve: str = "log"

    for make in (Slider, lambda: Slider(2.0), lambda: Fader(1.0), lambda: from_config({"type": "Slider"})):
        with pytest.raises(ConfigError, match=r"(Slider|Fader) has fields .* write @dataclass\(frozen=True\) above"):
            make()


def test_a_constructor_of_ones_own_is_left_alone_but_not_written_to_files():
    class Crank(Description):
        def __init__(self, turns):
            self.turns = turns

    with pytest.raises(ConfigError, match="Crank: "):
        from_config({"type": "Crank", "turns": 3})
    crank = Crank(3)
    assert crank.turns == 3
    assert crank != Crank(4)
    assert "Crank object" in repr(crank)
    with pytest.raises(ConfigError, match=r"Crank object .* only frozen dataclasses, numbers and text can"):
        to_config(crank)


def test_a_class_of_ones_own_cannot_take_the_name_of_one_of_denpas():
    """A file that says Dense must mean denpa's."""
    from denpa.layers import Dense

    with pytest.raises(ConfigError, match="denpa has a Dense already"):

        @dataclass(frozen=True)
        class Dense(Description):
            units: int

    from denpa.layers import Dense as ours

    assert type(from_config({"type": "Dense", "units": 2})) is ours
