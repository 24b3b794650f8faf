"""Descriptions: frozen dataclasses that hold no arrays, print as code and survive JSON and TOML.

A description is compared and hashed by its fields, so two equal descriptions share one compiled
program. Fields are therefore brought to one form when the object is made: `Adam(1)` and `Adam(1.0)`
must not be two things that hash alike but trace differently.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import numbers
import sys
from typing import Any, ClassVar, Self, TypeVar

from denpa.core.errors import ConfigError, nearest

__all__ = ["Description", "from_config", "is_ours", "registered", "replace", "to_config"]

_registry: dict[str, type[Description]] = {}


class Description:
    """Base of everything that describes: layers, losses, optimisers, initialisers, metrics, runs.

    A subclass is a `@dataclass(frozen=True)`. Its fields are numbers, strings, booleans, None,
    other descriptions, or tuples of these. Numbers in fields annotated `float` become floats, lists
    and arrays become tuples, and NaN is refused. A field annotated `float`, `int`, `bool`, `str` or
    `Literal["a", "b"]`, with or without `| None`, takes nothing else. `validate` is the subclass's
    place to refuse more. A class of your own that has no fields may leave the decorator out.

    The class is known to `from_config` under its own name as soon as it is defined. A class of your own
    may be defined again, as in a notebook, but not under the name of one of denpa's: files would take
    the one for the other.
    """

    _shelf: ClassVar[str] = ""  # where the public face keeps the class, as in init.He()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        known = _registry.get(cls.__name__)
        if known is not None and is_ours(known) and not is_ours(cls):
            raise ConfigError(f"denpa has a {cls.__name__} already, and files name classes: choose another name.")
        _registry[cls.__name__] = cls
        # dataclass() leaves a __repr__ alone that the class itself defines.
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Description.__repr__
        if "__post_init__" not in cls.__dict__:
            cls.__post_init__ = Description.__post_init__

    def __new__(cls, *values: Any, **options: Any) -> Self:
        known = vars(_complete(cls)).get("__match_args__")  # as dataclass() left them, with an __init__ for them
        if known is not None:
            _check_names(cls, options)
            if len(values) > len(known):
                named = any(field.kw_only for field in dataclasses.fields(cls))  # type: ignore[arg-type]
                hint = "give other options by name." if named else "give several as one list?"
                hint = hint if known else f"write {cls.__name__}()."
                raise ConfigError(f"{cls.__name__} takes ({', '.join(known)}), not {len(values)} values: {hint}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for field, annotation, kinds, choices, wanted in _fields(type(self)):
            value, where = getattr(self, field), f"{type(self).__name__}.{field}"
            settled = _settle(value, "float" in annotation, where)
            is_flag = isinstance(settled, bool) and annotation.startswith("int")
            if is_flag or not (isinstance(settled, kinds) or settled in choices):
                two = annotation == "bool" and isinstance(settled, int) and hasattr(self, "out_shape")  # Dense(in, out)
                hint = " The size of a layer's input comes with the data: name its output's alone." if two else ""
                raise ConfigError(f"{where} must be {wanted}, not {value!r}.{hint}")
            object.__setattr__(self, field, settled)
        self.validate()

    def validate(self) -> None:
        """Raise `ConfigError` where the fields make no sense together. Called once, when made."""

    def __repr__(self) -> str:
        """The code that makes this object: fields at their defaults are left out."""
        if not dataclasses.is_dataclass(self):  # a user's class with an __init__ of its own
            return object.__repr__(self)
        parts, positional = [], True
        for field in sorted(dataclasses.fields(self), key=lambda field: field.kw_only):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not field.init or value == _default(field):
                positional = False
                continue
            parts.append(_show(value) if positional and not field.kw_only else f"{field.name}={_show(value)}")
        return f"{self._shelf if is_ours(type(self)) else ''}{type(self).__name__}({', '.join(parts)})"

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return replace(self, **changes)


D = TypeVar("D", bound=Description)


def replace(description: D, **changes: Any) -> D:
    """A copy of `description` with some fields changed; an unknown field is a `ConfigError`."""
    _check_names(type(description), changes)
    return dataclasses.replace(description, **changes)  # type: ignore[type-var]


def registered(kind: type[D]) -> dict[str, type[D]]:
    """Every usable description of a kind, by class name: `registered(Layer)`; not those that are bases of others."""
    return {
        name: cls
        for name, cls in sorted(_registry.items())
        if issubclass(cls, kind) and not _is_base(cls) and (dataclasses.is_dataclass(cls) or not is_ours(cls))
    }


def to_config(value: Any) -> Any:
    """A description as plain dicts, lists, strings and numbers, fit for JSON and TOML.

    Fields at their defaults are left out, so that None never has to be written (TOML has none).

    Raises:
        ConfigError: a field holds something else, such as a function.
    """
    if isinstance(value, Description) and dataclasses.is_dataclass(value):
        config: dict[str, Any] = {"type": type(value).__name__}
        for field in dataclasses.fields(value):  # type: ignore[arg-type]
            entry = getattr(value, field.name)
            if entry != _default(field):
                config[field.name] = to_config(entry)
        return config
    if isinstance(value, (tuple, list)):
        return [to_config(entry) for entry in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ConfigError(f"{value!r} cannot be written to a file: only frozen dataclasses, numbers and text can.")


def from_config(config: Any, kind: type[Any] = Description, where: str = "") -> Any:
    """The description that `to_config` wrote. Runs no code but the constructors of known classes.

    Args:
        config: plain dicts, lists, strings and numbers; a dict with a `type` is a description.
        kind: the class that the outermost description must belong to.
        where: the path so far, for messages: `network.layers[2]`.

    Raises:
        ConfigError: an unknown type or field (the nearest valid name is given), a missing field,
            or a value that the class refuses.
    """
    if isinstance(config, list):
        return tuple(from_config(c, Description, f"{where}[{i}]") for i, c in enumerate(config))
    if not isinstance(config, dict):
        return config
    at = f" at {where}" if where else ""
    if "type" not in config:
        raise ConfigError(f"Missing 'type'{at}: it names the class, as in type = \"Dense\".")
    name = config["type"]
    known = registered(kind)
    cls = known.get(name) if isinstance(name, str) else None
    if cls is None:
        hint = nearest(str(name), known, plural=f"{kind.__name__.lower()}s")
        raise ConfigError(f"Unknown {kind.__name__.lower()} {name!r}{at}: {hint}")
    fields = {
        key: from_config(value, Description, f"{where}.{key}" if where else key)
        for key, value in config.items()
        if key != "type"
    }
    try:
        _check_names(cls, fields, at)
        return cls(**fields)
    except TypeError as error:
        fault = str(error).rpartition("__init__() ")[2].replace(" required positional argument", " option")
        raise ConfigError(f"{name}{at}: {fault}.") from None
    except ConfigError as error:
        is_told = where in str(error) or not {".", "["} & set(where)  # what is wrong with a part, its class will tell
        raise ConfigError(str(error) if is_told else f"{error} It stands at {where}.") from None


def _check_names(cls: type[Any], fields: dict[str, Any], at: str = "") -> None:
    known = [field.name for field in dataclasses.fields(_complete(cls)) if field.init]
    for key in fields:
        if key not in known:
            hint = nearest(key, known, plural="options") if known else "it has no options."
            kin = [one for one in _registry.values() if issubclass(one, cls.__bases__[0]) and not _is_base(one)]
            have = sorted(one.__name__ for one in kin if is_ours(one) and key in getattr(one, "__match_args__", ()))
            if 0 < len(have) <= 3 and "did you mean" not in hint:
                hint = f"{', '.join(have)} {'have' if len(have) > 1 else 'has'} it."
            if key == "activation":
                hint = f"an activation is a layer of its own, as in [{cls.__name__}(...), ReLU()]."
            if key in ("in_channels", "in_features", "input_dim", "input_shape", "input_size"):
                hint = "the size of its input comes with the data: leave it out."
            raise ConfigError(f"{cls.__name__} has no option {key!r}{at}: {hint}")


def is_ours(cls: type[Any]) -> bool:
    """Whether a class is one of denpa's, and not a user's."""
    return cls.__module__.startswith("denpa.")


@functools.cache
def _is_base(cls: type[Any]) -> bool:
    """Whether a class is called `_Name`, or leaves a method to others."""
    return cls.__name__.startswith("_") or any(
        getattr(getattr(cls, name, None), "__isabstractmethod__", False) for name in dir(cls)
    )


def _complete(cls: type[D]) -> type[D]:
    """The class; a user's that is no dataclass is made one. Not before it is used, for a decorator may follow."""
    if not is_ours(cls) and {"__dataclass_fields__", "__init__"}.isdisjoint(vars(cls)):
        if any("ClassVar" not in str(kind) for kind in inspect.get_annotations(cls).values()):
            raise ConfigError(f"{cls.__name__} has fields but is no dataclass: write @dataclass(frozen=True) above it.")
        if cls.__init__ is object.__init__:
            dataclasses.dataclass(frozen=True)(cls)
    return cls


_KINDS: dict[str, tuple[type[Any], str]] = {
    "float": (float, "a number"),
    "int": (int, "an integer"),
    "bool": (bool, "true or false"),
    "str": (str, "a text"),
}


@functools.cache
def _fields(cls: type[Any]) -> tuple[tuple[str, str, tuple[type[Any], ...], tuple[str, ...], str], ...]:
    """Each field's name, its annotation, and what `_taken` says of it."""
    types = ((field.name, field.type) for field in dataclasses.fields(cls))
    named = ((name, kind if isinstance(kind, str) else inspect.formatannotation(kind)) for name, kind in types)
    return tuple((name, kind, *_taken(kind)) for name, kind in named)


def _taken(annotation: str) -> tuple[tuple[type[Any], ...], tuple[str, ...], str]:
    """The classes and the single words that a field takes, and both as a message has them; anything where unknown."""
    name = annotation.removesuffix(" | None")
    none = (type(None),) if name != annotation else ()
    if name.startswith("Literal["):
        choices = tuple(ast.literal_eval(name.removeprefix("Literal")))
        return none, choices, " or ".join(f'"{choice}"' for choice in choices)
    if name == "Initializer":
        return (_registry[name], *none), (), "an initialiser such as init.He()"
    kind, words = _KINDS.get(name, (object, ""))
    return (kind, *none), (), words


def _settle(value: Any, wants_float: bool, where: str) -> Any:
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # NumPy's scalars too: they would not survive JSON
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(_settle(entry, wants_float, where) for entry in value)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        kind: Any = int if isinstance(value, numbers.Integral) and not wants_float else float
        if kind is float and not abs(value) <= sys.float_info.max:  # pyright: ignore[reportOperatorIssue]
            raise ConfigError(f"{where} must be a finite number, not {value}.")
        return value if type(value) is kind else kind(value)
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return tuple(made) if isinstance(made, list) else made


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        inner = ", ".join(_show(entry) for entry in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)
