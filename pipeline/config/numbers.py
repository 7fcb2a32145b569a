"""Numbers as configs hold them: each says what it may be, and a config with anything else is refused in one line."""

from typing import Annotated

from pydantic import Field

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
# A share: with none and all, with neither, or without all, as what dropout drops.
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
ShareBelow1 = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(gt=0)]
CountOrNone = Annotated[int, Field(ge=0)]
# What torch, NumPy and scikit-learn all take.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
