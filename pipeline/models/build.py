"""From settings to a network."""

from collections.abc import Callable

from pipeline.models.settings import TransformerSettings
from pipeline.models.transformer import Transformer
from pipeline.models.weights import initialise

FAMILIES: dict[str, Callable[[TransformerSettings, int], Transformer]] = {"decoder": Transformer}


def build(settings: TransformerSettings, vocabulary: int, seed: int) -> Transformer:
    """The network of the settings with fresh weights: equal for equal `seed` on every machine and device."""
    model = FAMILIES[settings.family](settings, vocabulary)
    initialise(model, seed)
    return model
