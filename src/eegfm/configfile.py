"""Configuration files: found by path or shipped name, parsed strictly, explained when wrong."""

import copy
import difflib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from eegfm_lake.errors import UsageError

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "missing": "a value",
}

Config = TypeVar("Config", bound=BaseModel)


def kind_of(cls: type[BaseModel]) -> str:
    """Folder of shipped configurations for a model: ``PretrainConfig`` gives ``pretrain``."""
    return cls.__name__.removesuffix("Config").lower()


def shipped(kind: str | None = None) -> dict[str, Path]:
    """Shipped configurations by ``kind/name``: inside the wheel, else in the repository's ``configs``."""
    root = _shipped_root()
    files = sorted(root.glob("*/*.yaml"))
    return {f"{file.parent.name}/{file.stem}": file for file in files if kind in (None, file.parent.name)}


def find(ref: str | Path, kind: str) -> Path:
    """Return the file that ``ref`` means: a path first, then a shipped name of this kind.

    Raises
    ------
    UsageError
        Neither a file nor a shipped name; close names are suggested.
    """
    path = Path(ref)
    if path.is_file():
        return path
    known = shipped(kind)
    name = str(ref).removeprefix("configs/").removesuffix(".yaml")
    for candidate in (name, f"{kind}/{name}"):
        if candidate in known:
            return known[candidate]
    close = difflib.get_close_matches(f"{kind}/{name.split('/')[-1]}", known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"shipped: {', '.join(known) or 'none'}"
    raise UsageError(f"no configuration {str(ref)!r}: neither a file nor a shipped name; {hint}")


def read(path: Path) -> dict[str, Any]:
    """Parse one YAML file; scientific notation is a number and a key given twice is an error."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path.name}{where}: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path.name}: expected keys and values, found {type(data).__name__}")
    return data


def dump(data: dict[str, Any]) -> str:
    """Write YAML that ``read`` reads back as it was, keys in their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def apply_overrides(data: dict[str, Any], overrides: Sequence[str], cls: type[BaseModel]) -> None:
    """Set ``a.b=c`` in place; the value is YAML, a number in the path is a place in a list.

    What the file leaves to the defaults of ``cls`` can be reached into as well.

    Raises
    ------
    UsageError
        Not of the form ``a.b=c``, or a path through something that holds no keys or lacks that place.
    """
    defaults = _defaults(cls)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise UsageError(f"override {override!r} is not of the form a.b=c")
        try:
            value = yaml.load(text, Loader=_Loader)
        except yaml.YAMLError as error:
            raise UsageError(f"override {override!r}: the value is not YAML") from error
        _set(data, key.split("."), value, override, defaults)


def validate(
    data: dict[str, Any], cls: type[Config], *, source: str, overrides: Sequence[str] = ()
) -> Config:
    """Build the model, or say in one line which key of ``source`` is wrong and what was expected."""
    try:
        # JSON mode is strict about kinds, yet takes a list for a tuple.
        return cls.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        raise UsageError(_explain(error.errors(), cls, source, overrides)) from error


class _Loader(yaml.SafeLoader):
    """YAML 1.1 without its traps: 1e-3 is a number, a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes what the loader would take for a number."""


for _yaml in (_Loader, _Dumper):
    _yaml.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )


def _shipped_root() -> Path:
    here = Path(__file__).parent
    return here / "configs" if (here / "configs").is_dir() else here.parents[1] / "configs"


def _defaults(cls: type[BaseModel]) -> dict[str, Any]:
    values = {name: field.get_default(call_default_factory=True) for name, field in cls.model_fields.items()}
    return {
        name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for name, value in values.items()
        if isinstance(value, BaseModel | dict)
    }


def _set(data: Any, keys: list[str], value: Any, override: str, defaults: Any) -> None:
    node = data
    for depth, key in enumerate(keys):
        place = _place(node, key, f"override {override!r}: {'.'.join(keys[:depth])}")
        if depth == len(keys) - 1:
            node[place] = value
        defaults = defaults.get(place) if isinstance(defaults, dict) else None
        if depth < len(keys) - 1 and isinstance(node, dict) and node.get(place) is None:
            node[place] = copy.deepcopy(defaults) if isinstance(defaults, dict | list) else {}
        node = node[place]


def _place(node: Any, key: str, where: str) -> str | int:
    if isinstance(node, list):
        if not key.isdigit() or int(key) >= len(node):
            raise UsageError(f"{where} is a list of {len(node)}, {key!r} is no place in it")
        return int(key)
    if not isinstance(node, dict):
        raise UsageError(f"{where} holds {node!r}, which has no keys")
    return key


def _explain(
    errors: Sequence[ErrorDetails], cls: type[BaseModel], source: str, overrides: Sequence[str]
) -> str:
    error = errors[0]
    path = _keys_of(error)
    key = ".".join(str(part) for part in path)
    where = next((f"override {text!r}" for text in overrides if text.startswith(f"{key}=")), source)
    if error["type"] == "extra_forbidden":
        known = sorted(_keys_at(cls, path[:-1]))
        close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        inside = f" of {'.'.join(map(str, path[:-1]))}" if len(path) > 1 else ""
        return f"unknown key {str(path[-1])!r}{inside} in {where}; {hint}"
    if error["type"] == "missing":
        return f"{where} lacks the key {key!r}"
    if error["type"] == "value_error":
        return f"{key + ' in ' if key else ''}{where}: {error['msg'].removeprefix('Value error, ')}"
    # Every member of a union complains about the same key.
    expected = dict.fromkeys(_expected(each) for each in errors if _keys_of(each) == path)
    return f"{key} in {where} is {error['input']!r}; expected {' or '.join(expected)}"


def _expected(error: ErrorDetails) -> str:
    words = _EXPECTED.get(error["type"])
    return words or error["msg"].removeprefix("Input should be ")


def _keys_of(error: ErrorDetails) -> list[int | str]:
    *inner, last = error["loc"] or ("",)
    path = [part for part in inner if isinstance(part, int) or _is_key(part)]
    if isinstance(last, int) or error["type"] == "extra_forbidden" or _is_key(last):
        path.append(last)
    return path


_UNION_MEMBERS = frozenset({"str", "int", "float", "bool", "none"})


def _is_key(part: str) -> bool:
    # Members of a union appear in the location as "list[str]", "literal['all','common']" or a type's name.
    return part not in _UNION_MEMBERS and re.fullmatch(r"[^\W\d]\w*", part) is not None


def _keys_at(cls: type[BaseModel], path: Sequence[int | str]) -> set[str]:
    models = [cls]
    for part in path:
        if isinstance(part, str):
            fields = [model.model_fields[part].annotation for model in models if part in model.model_fields]
            models = [found for annotation in fields for found in _models_in(annotation)]
    return {name for model in models for name in model.model_fields}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
