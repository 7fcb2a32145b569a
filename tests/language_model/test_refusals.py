"""What `check` cannot know of a model that has yet to be fetched is refused in one line when its stage starts."""

from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.config.read import parse
from pipeline.interop.folders import save_language_model
from pipeline.models.build import build
from pipeline.models.settings import settings_schema
from pipeline.text import tokenizer as bpe
from stages import finetune_lm
from tests.workspace import CONFIGS, make

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def refused(workspace: Path) -> Refused:
    """What stage finetune_lm says to such a network and such lines of its config."""

    def message(network: dict[str, object], **lines: object) -> str:
        tokenizer = workspace / "models/tokenizer/tokenizer.json"
        settings = parse(settings_schema, CONFIGS["model"] | network, "model")
        start = build(settings, bpe.load(tokenizer).get_vocab_size(), seed=5)
        save_language_model(workspace / "models/pretrained/forward", start, direction="forward", tokenizer=tokenizer)
        write_json(workspace / "configs/finetune_lm/tiny.yaml", CONFIGS["finetune_lm"] | lines)
        with chdir(workspace), pytest.raises(UserError) as caught:
            finetune_lm.main("forward")
        return str(caught.value)

    return message


def test_spans_that_the_decoder_has_no_positions_for(refused: Refused) -> None:
    lines = {"objective": "spans", "mask_rate": 0.5, "span_length": 1.0, "length": 64}
    said = refused({"family": "encoder_decoder"}, **lines)
    assert said.startswith("of `length: 64` the decoder writes 65 tokens (32 in 32 spans), and the network has 64 ")


@pytest.mark.parametrize("network", [{"dropout": 0.5}, {"family": "encoder_decoder", "dropout": 0.5}])
def test_a_drop_mult_that_would_drop_everything(refused: Refused, network: dict[str, object]) -> None:
    objective = "spans" if "family" in network else "causal"
    assert refused(network, drop_mult=4, objective=objective) == (
        "`drop_mult: 4` does not fit this language model: a dropout rate of 0.5 times 4.0 is not below 1; lower it"
    )
