"""A `config.json` of `transformers`, read with every key that cannot be followed refused."""

import math
from pathlib import Path
from typing import Any

from pipeline.base.errors import UserError
from pipeline.base.files import read_json


class Config:
    """Its keys; one that the file leaves out has the default that `transformers` gives it."""

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        self.path, self.values = path, values

    @classmethod
    def read(cls, path: Path) -> "Config":
        """The file, which must hold a mapping with `model_type`."""
        values = read_json(path)
        if not isinstance(values, dict) or "model_type" not in values:
            raise UserError(f"{path}: has no `model_type`; take the config.json that `save_pretrained` writes")
        return cls(path, values)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key that says anything."""
        value = self.values.get(key)
        return default if value is None else value

    def count(self, key: str, default: int | None = None) -> int:
        """A whole number, which must be there unless there is a default."""
        value = self.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise UserError(f"{self.path}: `{key}: {value}` should be a whole number; fetch the file again")
        return value

    def number(self, key: str, default: float) -> float:
        """A number of either kind."""
        value = self.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise UserError(f"{self.path}: `{key}: {_shown(value)}` should be a number; fetch the file again")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """Yes or no."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise UserError(f"{self.path}: `{key}: {_shown(value)}` should be true or false; fetch the file again")
        return value

    def within(self, key: str) -> "Config":
        """The keys of a mapping in the file, of which it may leave out all."""
        values = self.get(key, {})
        if not isinstance(values, dict):
            raise UserError(f"{self.path}: `{key}: {_shown(values)}` should be a mapping; fetch the file again")
        return Config(self.path, values)

    def one_of(self, key: str, allowed: dict[Any, Any], default: Any) -> Any:
        """What `allowed` makes of the value; any other value is refused."""
        value = self.get(key, default)
        if value not in list(allowed):  # a list cannot be looked up in a mapping
            raise self.refuse(key, f"it should be {' or '.join(map(_shown, allowed))}")
        return allowed[value]

    def require(self, key: str, wanted: Any) -> None:
        """Refuse another value than the one that is also meant where the key is missing."""
        if self.get(key, wanted) != wanted:
            raise self.refuse(key, f"it should be {_shown(wanted)}")

    def refuse(self, key: str, remedy: str) -> UserError:
        """The error for a key that no network here can follow."""
        return UserError(f"{self.path}: `{key}: {_shown(self.get(key))}` cannot be expressed here; {remedy}")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
