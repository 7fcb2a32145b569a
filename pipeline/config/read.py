"""Read a YAML file into a frozen dataclass; every mistake is one line with file, key and allowed values."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.base.errors import UserError, suggest

Schema = TypeVar("Schema")
# A schema, or what chooses one by the keys of a file.
SchemaOf = type[Schema] | Callable[[dict[str, Any]], type[Schema]]
STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping (YAML 1.2, as DVC reads it: `1e-3` is a number, `no` is a word)."""
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = (file.stem for file in path.parent.glob("*.yaml"))
        raise UserError(f"{path}: no such file; {suggest(path.stem, known)}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise UserError(f"{path}: is not valid YAML at line {line}: {error.problem}") from error
    except YAMLError as error:
        raise UserError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold `key: value` lines, not {type(content).__name__}")
    return content


def parse(schema_of: SchemaOf[Schema], values: dict[str, Any], where: str) -> Schema:
    """Validate `values` against a frozen dataclass; `where` names their file in the message.

    Types are strict (a word is not a number), lists become tuples (schemas are frozen), unknown keys are
    refused with the nearest known one, and a `__post_init__` of the schema may refuse impossible
    combinations with `ValueError`.
    """
    schema: type[Schema] = schema_of if isinstance(schema_of, type) else schema_of(values)
    if getattr(schema, "__pydantic_config__", None) is None:
        schema.__pydantic_config__ = STRICT  # type: ignore[attr-defined]
    try:
        return TypeAdapter(schema).validate_json(json.dumps(values, default=str))  # JSON: lists may become tuples
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(schema, error.errors(include_url=False))}") from error


def load(schema: SchemaOf[Schema], path: Path) -> Schema:
    """Read and validate one config file."""
    return parse(schema, read_yaml(path), str(path))


def _explain(schema: type, found: list[ErrorDetails]) -> str:
    """One line for the mistake to mend first: an unknown key, since others may follow from it, or the first."""
    error = next((one for one in found if one["type"] == "unexpected_keyword_argument"), found[0])
    key = str(error["loc"][0]) if error["loc"] else ""
    fields = getattr(schema, "__dataclass_fields__", {})
    if error["type"] == "unexpected_keyword_argument":
        return f"unknown key `{key}`; {suggest(key, fields)}"
    if error["type"] in ("missing", "missing_argument"):
        return f"key `{key}` is missing; add a line `{key}: ...`"
    if error["type"] == "value_error" and not key:
        return str(error["ctx"]["error"])
    # Where several types are allowed each one refuses on its own; the part of the value that most went into is meant.
    about = [one for one in found if one["loc"][:1] == error["loc"][:1]]
    value = max(about, key=lambda one: len(one["loc"]))["input"]
    wanted = dict.fromkeys(_plain(one) for one in about if one["input"] == value)
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{key}: {shown}` is not allowed; it should be {' or '.join(wanted)}"


# pydantic's names of what it wanted -> words for people who write YAML.
WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list such as [a, b]",
    "dict_type": "a mapping such as {{a: b}}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "greater_than": "above {gt:g}",
    "less_than": "below {lt:g}",
    "string_pattern_mismatch": "text that matches {pattern}",
}


def _plain(error: ErrorDetails) -> str:
    if error["type"] in WANTED:
        return WANTED[error["type"]].format(**error.get("ctx", {}))
    return error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
