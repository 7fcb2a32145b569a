"""Schema of `configs/blend/*.yaml`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.numbers import Count, CountOrNone, Seed

FOLDER = "blend"  # of the finished blend, in models/classifier beside the folders of the directions


@dataclass(frozen=True, kw_only=True)
class BlendConfig:
    """Wide and deep: linear models over n-grams beside the network, and the weights of all."""

    # auto: those that predict best what none of them has seen; none: the network alone.
    weight: Literal["auto", "none"] = "auto"
    # The unseen documents are those of the validation part, if it has as many as this ...
    enough: Count = 500
    # ... else the labelled documents themselves: each part of so many is judged by a training on the others.
    folds: Annotated[int, Field(ge=2)] = 5
    # Of the parts.
    seed: Seed = 1
    # Unlabelled documents of the domain, spread evenly over it, that the network labels for naive Bayes with many steps
    # of EM to begin from. 0: it begins from what the regression on latent directions says.
    documents: CountOrNone = 4000
