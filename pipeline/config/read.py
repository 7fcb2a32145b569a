"""Read a YAML file into a frozen dataclass; every mistake is one line with file, key and allowed values."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.base.errors import UserError, suggest

Schema = TypeVar("Schema")
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
    except YAMLError as error:
        raise UserError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold `key: value` lines, not {type(content).__name__}")
    return content


def parse(schema: type[Schema], values: dict[str, Any], where: str) -> Schema:
    """Validate `values` against a frozen dataclass; `where` names their file in the message.

    Types are strict (a word is not a number), lists become tuples (schemas are frozen), unknown keys are
    refused with the nearest known one, and a `__post_init__` of the schema may refuse impossible
    combinations with `ValueError`.
    """
    if getattr(schema, "__pydantic_config__", None) is None:
        schema.__pydantic_config__ = STRICT  # type: ignore[attr-defined]
    try:
        return TypeAdapter(schema).validate_json(json.dumps(values, default=str))  # JSON: lists may become tuples
    except ValidationError as error:
        found = error.errors(include_url=False)
        first = next((one for one in found if one["type"] == "unexpected_keyword_argument"), found[0])
        raise UserError(f"{where}: {_explain(schema, first)}") from error


def load(schema: type[Schema], path: Path) -> Schema:
    """Read and validate one config file."""
    return parse(schema, read_yaml(path), str(path))


def _explain(schema: type, error: ErrorDetails) -> str:
    # Past the key itself pydantic names the alternatives of a type ("str", "tuple[str, ...]"), which help nobody.
    key = str(error["loc"][0]) if error["loc"] else ""
    fields = getattr(schema, "__dataclass_fields__", {})
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown key `{key}`; {suggest(str(error['loc'][-1]), fields)}"
    if error["type"] in ("missing", "missing_argument"):
        return f"key `{key}` is missing; add a line `{key}: ...`"
    if error["type"] == "value_error" and not key:
        return str(error["ctx"]["error"])
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"`{key}: {error['input']}` is not allowed; it should be {message}"
