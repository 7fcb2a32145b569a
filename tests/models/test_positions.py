"""What each kind of position promises."""

import math

import torch

from pipeline.models.build import build
from pipeline.models.positions import POSITIONS, Rotary, Sinusoidal


def test_rotary_products_depend_on_the_distance_alone(tiny) -> None:
    """Su et al. 2021, section 3.2: <R(m) q, R(n) k> is a function of m - n."""
    rotary = Rotary(tiny(max_positions=200))
    generator = torch.Generator().manual_seed(1)
    q_K, k_K = torch.randn(16, generator=generator), torch.randn(16, generator=generator)
    q_TK, k_TK = (rotary.rotate(x_K.expand(1, 200, 1, 16))[0, :, 0] for x_K in (q_K, k_K))
    scores_TT = q_TK @ k_TK.T
    for distance in (0, 1, 17, 99):
        of_distance = scores_TT.diagonal(-distance)
        torch.testing.assert_close(of_distance, of_distance[:1].expand_as(of_distance), atol=2e-4, rtol=0)
    assert (scores_TT[:, 0] - scores_TT[0, 0]).abs()[1:].max() > 0.5  # and it does depend on the distance


def test_rotary_turns_pairs_without_changing_their_length(tiny) -> None:
    rotary = Rotary(tiny())
    x_BTHK = torch.randn(2, 24, 3, 16, generator=torch.Generator().manual_seed(1))
    turned = rotary.rotate(x_BTHK)
    lengths = x_BTHK.unflatten(-1, (2, 8)).norm(dim=-2)
    torch.testing.assert_close(turned.unflatten(-1, (2, 8)).norm(dim=-2), lengths)
    assert torch.equal(turned[:, 0], x_BTHK[:, 0])  # position 0 is not turned
    # Channel 0 and its partner turn by one radian a token.
    angle = torch.atan2(turned[..., 8], turned[..., 0]) - torch.atan2(x_BTHK[..., 8], x_BTHK[..., 0])
    expected = torch.arange(24.0)[None, :, None]
    torch.testing.assert_close(((angle - expected + math.pi) % (2 * math.pi)) - math.pi, angle * 0, atol=1e-5, rtol=0)


def test_sinusoids_are_those_of_the_paper(tiny) -> None:
    """Vaswani et al. 2017, section 3.5, at a few places."""
    table_TD = Sinusoidal(tiny()).table_TD
    for position, channel in ((0, 0), (0, 1), (3, 0), (3, 1), (23, 10), (23, 31)):
        angle = position / 10_000 ** (2 * (channel // 2) / 32)
        expected = math.sin(angle) if channel % 2 == 0 else math.cos(angle)
        assert abs(table_TD[position, channel].item() - expected) < 1e-6


def test_only_none_cannot_tell_where_a_repeated_token_stands(tiny) -> None:
    for name in POSITIONS:
        model = build(tiny(positions=name), 50, seed=1)
        # Tokens 7 9 7 9: without positions and without the causal mask both 7s are the same to the network.
        hidden_TD = model(torch.tensor([[7, 9, 7, 9]]), causal=False)[0]
        same = torch.allclose(hidden_TD[0], hidden_TD[2], atol=1e-5)
        assert same == (name == "none"), name


def test_tables_are_not_saved_and_learned_positions_are(tiny) -> None:
    for name in POSITIONS:
        saved = [key for key in build(tiny(positions=name), 50, seed=1).state_dict() if key.startswith("positions.")]
        assert saved == (["positions.table.weight"] if name == "learned" else []), name
