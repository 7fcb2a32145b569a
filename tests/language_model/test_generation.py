"""Writing: cached or not, alone or among others, the same tokens; drawn as asked; never what must not be written."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from pipeline.language_model.gaps import fill_mask, fill_span
from pipeline.language_model.generation import answer, generate
from pipeline.language_model.sampling import GREEDY, Sampling
from pipeline.models.build import Network, build
from pipeline.models.settings import LSTMSettings, ModelSettings, TransformerSettings
from pipeline.objectives.spans import FIRST_SENTINEL
from pipeline.text.specials import BOS, EOS, MASK, SPECIALS
from tests.formal.networks import randomise

WORDS = 20
V = len(SPECIALS) + WORDS
PROMPT = [BOS, 110, 107, 121, 110]
SHAPE = {"layers": 2, "width": 32, "heads": 4, "feedforward": 64, "max_positions": 40, "tied": False}
DRAWN = Sampling(temperature=1.0, seed=3)

DESIGNS: dict[str, ModelSettings] = {
    **{
        positions: TransformerSettings(**SHAPE, positions=positions)
        for positions in ("rotary", "learned", "sinusoidal", "none", "alibi", "t5", "transformer_xl")
    },
    **{
        attention: TransformerSettings(**SHAPE, attention=attention, features=16)
        for attention in ("linear", "performer", "fast_weight")
    },
    "linear, none": TransformerSettings(**SHAPE, attention="linear", positions="none"),
    "grouped heads": TransformerSettings(**SHAPE, kv_heads=2, qk_norm=True),
    "post": TransformerSettings(**SHAPE, placement="post", positions="sinusoidal"),
    "resi_dual": TransformerSettings(**SHAPE, placement="resi_dual"),
    "lstm": LSTMSettings(backbone="lstm", layers=2, width=32, hidden=48, max_positions=40, tied=False),
}


Scores = Callable[[Tensor], Tensor]  # tokens (1, T) -> scores (1, V)


def network(settings: ModelSettings, seed: int = 1) -> Network:
    """A network whose tokens, positions and layers all matter, so that it does not repeat one token for ever."""
    made = build(settings, V, seed)
    randomise(made, seed)
    return made.train()


def encoder_decoder(**changes: object) -> Network:
    return network(TransformerSettings(**{**SHAPE, "family": "encoder_decoder", "positions": "sinusoidal", **changes}))


def slowly(read: Scores, start: Sequence[int], tokens: int, sampling: Sampling, sample: int, stop: int) -> list[int]:
    """One sample by reading everything again for each token."""
    written: list[int] = []
    for position in range(tokens):
        log_p_1V = read(torch.tensor([[*start, *written]])).double().log_softmax(dim=1)
        log_p_1V[:, [special for special in range(len(SPECIALS)) if special != stop]] = -torch.inf
        token = sampling.choose(log_p_1V, torch.tensor([sample]), position).item()
        if token == stop:
            break
        written.append(token)
    return written


def scorer(model: nn.Module, **given: Tensor) -> Scores:
    """Scores of the token after the last, read anew."""

    @torch.no_grad()
    def scores(tokens_1T: Tensor) -> Tensor:
        return model.unembed(model(tokens_1T, **given)[:, -1])

    return scores


# Continuations.


@pytest.mark.parametrize("name", DESIGNS)
def test_a_cache_changes_nothing(name: str) -> None:
    model = network(DESIGNS[name])
    got = generate(model, PROMPT, tokens=20, sampling=DRAWN, samples=2)
    assert got == [slowly(scorer(model), PROMPT, 20, DRAWN, sample, EOS) for sample in range(2)]
    assert len({token for one in got for token in one}) > 3


@pytest.mark.parametrize("name", ["rotary", "lstm"])
def test_greedy_takes_the_most_probable_token_each_time(name: str) -> None:
    model = network(DESIGNS[name])
    got = generate(model, PROMPT, tokens=20, samples=2)
    assert got == [slowly(scorer(model), PROMPT, 20, GREEDY, 0, EOS)] * 2


def test_a_sample_is_the_same_alone_and_among_others_and_however_many_tokens_are_asked_for() -> None:
    """Though some of the others stop before it, and its row in the batch changes."""
    model = network(DESIGNS["rotary"])
    five = generate(model, PROMPT, tokens=30, sampling=DRAWN, samples=5)
    assert len({len(one) for one in five}) > 1, "none stopped early: another seed is needed"
    assert generate(model, PROMPT, tokens=30, sampling=DRAWN, samples=2) == five[:2]
    assert generate(model, PROMPT, tokens=7, sampling=DRAWN, samples=5) == [one[:7] for one in five]
    assert len({tuple(one) for one in five}) == 5
    assert generate(model, PROMPT, tokens=30, sampling=Sampling(seed=4), samples=5) != five


def test_the_global_random_state_is_neither_read_nor_changed() -> None:
    model = network(DESIGNS["lstm"])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = generate(model, PROMPT, tokens=10, sampling=DRAWN)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert generate(model, PROMPT, tokens=10, sampling=DRAWN) == first


@pytest.mark.parametrize("stop", [EOS, FIRST_SENTINEL + 1])
def test_no_special_token_is_written_even_where_it_is_the_most_probable_and_stop_ends_a_sample(stop: int) -> None:
    model = build(TransformerSettings(**SHAPE, output_bias=True), V, seed=1)
    with torch.no_grad():
        model.output_bias[: len(SPECIALS)] = 30.0
        model.output_bias[stop] = 0.0
    written = generate(model, PROMPT, tokens=30, sampling=DRAWN, samples=4, stop=stop)
    assert all(len(SPECIALS) <= token < V for one in written for token in one)
    assert sum(map(len, written)) > 20
    with torch.no_grad():
        model.output_bias[stop] = 60.0
    assert generate(model, PROMPT, tokens=30, sampling=GREEDY, stop=stop) == [[]]


def test_the_last_position_is_used_and_one_more_is_refused_with_what_would_fit() -> None:
    model = network(DESIGNS["rotary"])
    unstoppable = FIRST_SENTINEL + 50
    with torch.no_grad():
        model.embeddings.weight[unstoppable] = 0
    (full,) = generate(model, PROMPT, tokens=36, stop=unstoppable)
    assert len(PROMPT) + len(full) == 41  # the last one is written and not read
    with pytest.raises(ValueError, match=r"37 tokens after 5 given are more than .* 40 positions; ask for 36 at most$"):
        generate(model, PROMPT, tokens=37)
    with pytest.raises(ValueError, match="the 41 tokens given are more than the model's 40 positions; shorten them"):
        generate(model, [110] * 41, tokens=1)
    with pytest.raises(ValueError, match="one token at least"):
        generate(model, [], tokens=1)


@pytest.mark.parametrize(
    ("family", "reason"), [("encoder", "fill a gap but not continue"), ("encoder_decoder", "answers what it has read")]
)
def test_what_cannot_continue_a_text_says_why(family: str, reason: str) -> None:
    model = network(TransformerSettings(**SHAPE, family=family))
    with pytest.raises(ValueError, match=reason):
        generate(model, PROMPT, tokens=5)


# The distribution.


def shares(sampling: Sampling, p_V: list[float], draws: int = 4000) -> list[float]:
    """How often each token is drawn, over samples and positions."""
    log_p_BV = torch.tensor(p_V, dtype=torch.float64).log().expand(draws // 100, -1)
    samples_B = torch.arange(draws // 100)
    tokens = torch.cat([sampling.choose(log_p_BV, samples_B, position) for position in range(100)])
    return (torch.bincount(tokens, minlength=len(p_V)) / draws).tolist()


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), [0.1, 0.4, 0.2, 0.3]),
        (Sampling(temperature=0.5), [1 / 30, 16 / 30, 4 / 30, 9 / 30]),
        (Sampling(top_k=2), [0, 4 / 7, 0, 3 / 7]),
        (Sampling(top_k=9), [0.1, 0.4, 0.2, 0.3]),
        (Sampling(top_p=0.69), [0, 4 / 7, 0, 3 / 7]),
        (Sampling(top_p=0.71), [0, 4 / 9, 2 / 9, 3 / 9]),
        (Sampling(top_p=1e-9), [0, 1, 0, 0]),
        (Sampling(top_k=3, top_p=0.75), [0, 4 / 7, 0, 3 / 7]),  # of the three, 7 of 9 is enough
        (Sampling(temperature=0), [0, 1, 0, 0]),
        (Sampling(temperature=1e-300), [0, 1, 0, 0]),
    ],
    ids=str,
)
def test_tokens_are_drawn_as_often_as_temperature_top_k_and_top_p_say(
    sampling: Sampling, expected: list[float]
) -> None:
    got = shares(sampling, [0.1, 0.4, 0.2, 0.3])
    assert got == pytest.approx(expected, abs=0.035)
    assert [share == 0 for share in got] == [share == 0 for share in expected]


def test_tokens_of_no_probability_are_never_drawn_at_either_end() -> None:
    assert shares(Sampling(), [0.0, 0.5, 0.0, 0.5, 0.0])[::2] == [0, 0, 0]


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}]
)
def test_impossible_sampling_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)


# Answers and gaps.


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary", "t5"])
def test_answers_to_padded_sources_are_those_to_each_alone_without_a_cache(positions: str) -> None:
    model = encoder_decoder(positions=positions)
    source_BS = torch.tensor([[110, 111, 112, 113], [120, 121, 0, 0], [109, 0, 0, 0]])
    lengths_B = torch.tensor([4, 2, 1])
    for sampling in (GREEDY, DRAWN):
        got = answer(model, source_BS, lengths_B=lengths_B, tokens=15, sampling=sampling)
        for row, length in enumerate(lengths_B.tolist()):
            read = scorer(model, source_BS=source_BS[row : row + 1, :length])
            assert got[row] == slowly(read, [BOS], 15, sampling, row, EOS)
    assert len({tuple(one) for one in got}) == 3


def test_a_masked_token_is_filled_with_the_most_probable_tokens_in_its_own_place() -> None:
    model = network(TransformerSettings(**SHAPE, family="encoder"))
    before, after = PROMPT, [115, 116]
    p_V = model.unembed(model(torch.tensor([[*before, MASK, *after]]))[0, len(before)]).double().softmax(dim=0)
    order = [token for token in p_V.argsort(descending=True).tolist() if token >= len(SPECIALS)]
    guesses = fill_mask(model, before, after, top=3)
    assert [guess.tokens for guess in guesses] == [[token] for token in order[:3]]
    assert [guess.probability for guess in guesses] == pytest.approx(p_V[order[:3]].tolist())
    assert len(fill_mask(model, before, after, top=1000)) == WORDS
    with pytest.raises(ValueError, match="not by a decoder"):
        fill_mask(network(DESIGNS["rotary"]), before, after)


def test_a_span_is_what_the_decoder_writes_from_the_gaps_sentinel_to_the_next() -> None:
    model = encoder_decoder()
    before, after = PROMPT, [115, 116]
    source_1S, start = torch.tensor([[*before, FIRST_SENTINEL, *after]]), [BOS, FIRST_SENTINEL]
    (expected,) = answer(model, source_1S, tokens=6, start=start, stop=FIRST_SENTINEL + 1)
    guess = fill_span(model, before, after, tokens=6, beams=1)
    assert guess.tokens == expected
    written = [*expected, FIRST_SENTINEL + 1][:6]
    hidden_BTD = model(torch.tensor([[*start, *written[:-1]]]), source_BS=source_1S)
    log_p_TV = model.unembed(hidden_BTD[0, 1:]).double().log_softmax(dim=1)
    probability = log_p_TV[range(len(written)), written].sum().exp().item()
    assert guess.probability == pytest.approx(probability, rel=1e-4)
