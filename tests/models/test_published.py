"""Each published network in `configs/model/` has the parameters that its paper reports.

Three counts agree: the sum over the network built, a formula written down here from the papers alone, and the published
number as far as its digits go. What was published, and with which vocabulary, is in `docs/catalogue.yaml`.
"""

from itertools import pairwise

import pytest

from docs.make_models import CONFIGS, Published, catalogue, parameters, published, settings_of
from pipeline.models.settings import LSTMSettings, ModelSettings, TransformerSettings

PUBLISHED = published(catalogue())


def by_formula(settings: ModelSettings, V: int) -> int:
    """Parameters of a network, by nothing but its settings."""
    if isinstance(settings, LSTMSettings):
        return lstm_parameters(settings, V)
    return transformer_parameters(settings, V)


def transformer_parameters(settings: TransformerSettings, V: int) -> int:
    """Weights of a Transformer by the equations of the papers that `settings.py` names."""
    D, F, H, K = settings.width, settings.feedforward, settings.heads, settings.key_width
    E, G, b = settings.token_width, settings.key_heads, int(settings.bias)

    def norm(width: int) -> int:
        return width * (1 + b * (settings.norm == "layernorm"))

    def linear(inputs: int, outputs: int) -> int:
        return outputs * (inputs + b)

    gated = settings.activation.endswith(("glu", "glu_tanh"))
    attention = linear(D, (H + 2 * G) * K) + linear(H * K, D) + 2 * norm(K) * settings.qk_norm
    relative = (D * H * K + 2 * H * K) * (settings.positions == "transformer_xl")
    feed_forward = linear(D, F * (2 if gated else 1)) + linear(F, D)
    encoder_block = attention + relative + feed_forward + 2 * norm(D)
    decoder_block = encoder_block + attention + norm(D)
    layers = 1 if settings.share_layers else settings.layers

    # What a stack has besides its blocks: positions, the norm and the projection at its entrance, the norm at its end.
    positions = {"learned": settings.max_positions * E, "t5": 32 * H}.get(settings.positions, 0)
    entrance = norm(E) * settings.embedding_norm + linear(E, D) * (E != D)
    around = positions + entrance + norm(D) * (settings.placement != "post")

    count = V * E + layers * encoder_block + around
    if settings.family == "encoder_decoder":
        count += layers * decoder_block + around
    if settings.output_transform:
        count += linear(D, E) + norm(E)
    elif E != D:
        count += D * E
    return count + V * E * (not settings.tied) + V * settings.output_bias


def lstm_parameters(settings: LSTMSettings, V: int) -> int:
    """Weights of an AWD-LSTM: four gates with two biases each (Merity et al. 2018), and a bias of the output."""
    D, N = settings.width, settings.layers
    widths = [D, *[settings.hidden] * (N - 1), D]
    layers = sum(4 * out * (inputs + out + 2) for inputs, out in pairwise(widths))
    return V * D * (1 if settings.tied else 2) + V + layers


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: one.config)
def test_a_published_network_has_its_published_parameters(one: Published) -> None:
    count = parameters(one.config, one.vocabulary)
    assert count == by_formula(settings_of(one.config), one.vocabulary)
    assert abs(count + one.apart - one.parameters) <= one.rounding


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: one.config)
def test_its_file_says_the_same_number(one: Published) -> None:
    header = [
        line for line in (CONFIGS / f"{one.config}.yaml").read_text(encoding="utf-8").split("\n") if line[:1] == "#"
    ]
    assert one.published.replace(" ", "") in "".join(header[1:]).replace("# ", "").replace(" ", "").replace("#", "")


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: one.config)
def test_whatever_is_not_plain_rounding_has_a_reason(one: Published) -> None:
    assert bool(one.because) == bool(one.apart or one.tolerance is not None)


def test_the_rounding_of_a_printed_number() -> None:
    assert Published("a", 1, "6.7 B").parameters == 6.7e9
    assert Published("a", 1, "6.7 B").rounding == pytest.approx(0.05e9)
    assert Published("a", 1, "1,558 M").parameters == 1558e6
    assert Published("a", 1, "1,558 M").rounding == pytest.approx(0.5e6)
    assert Published("a", 1, "340 M", tolerance=0.1).rounding == pytest.approx(34e6)
