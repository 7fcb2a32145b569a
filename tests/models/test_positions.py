"""What each kind of position promises."""

import math

import torch

from pipeline.models.build import build
from pipeline.models.positions import BUCKETS, POSITIONS, ALiBi, Rotary, Sinusoidal, T5Bias, bucket
from pipeline.models.relative import RelativeScores


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
    table_TD = Sinusoidal(tiny()).table_TE
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
        assert saved == (["positions.table.weight"] if name in ("learned", "t5") else []), name


def test_alibi_has_the_slopes_of_the_paper(tiny) -> None:
    """Press et al. 2022, section 3: 1/2, 1/4, ... for 8 heads; for other numbers the authors' interpolation."""
    assert ALiBi(tiny(heads=8, width=32)).slopes_H.tolist() == [2.0**-n for n in range(1, 9)]
    assert ALiBi(tiny(heads=2)).slopes_H.tolist() == [2.0**-4, 2.0**-8]
    three = ALiBi(tiny(heads=3, width=48)).slopes_H
    torch.testing.assert_close(three, torch.tensor([2.0**-4, 2.0**-8, 2.0**-2]))


def test_alibi_falls_with_the_distance(tiny) -> None:
    bias_1HTS = ALiBi(tiny()).bias(3, offset=2)
    assert bias_1HTS.shape == (1, 2, 3, 5)
    assert bias_1HTS[0, 0, 0].tolist() == [-2 / 16, -1 / 16, 0, -1 / 16, -2 / 16]


def literal_bucket(distance: int, both_sides: bool) -> int:
    """Raffel et al. 2020, section 2.1, as the published model does it, for one distance (query minus key)."""
    buckets, offset = BUCKETS, 0
    if both_sides:
        buckets //= 2
        offset, distance = (buckets, -distance) if distance < 0 else (0, distance)
    elif distance < 0:
        distance = 0
    exact = buckets // 2
    if distance < exact:
        return offset + distance
    wider = exact + int(math.log(distance / exact) / math.log(128 / exact) * (buckets - exact))
    return offset + min(wider, buckets - 1)


def test_t5_buckets_are_those_of_the_paper() -> None:
    distance_N = torch.arange(-200, 201)
    for both_sides in (True, False):
        expected = [literal_bucket(distance, both_sides) for distance in distance_N.tolist()]
        assert bucket(distance_N, both_sides).tolist() == expected
        assert len(set(expected)) == (BUCKETS - 1 if both_sides else BUCKETS)  # "0 behind" has no tokens


def test_t5_bias_is_read_from_one_table(tiny) -> None:
    encoder = build(tiny(positions="t5", family="encoder"), 50, seed=1).positions
    assert isinstance(encoder, T5Bias)
    bias_1HTS = encoder.bias(4)
    for query, key in ((0, 0), (3, 1), (1, 3)):
        row_H = encoder.table.weight[literal_bucket(query - key, True)]
        assert torch.equal(bias_1HTS[0, :, query, key], row_H)


def test_transformer_xl_scores_equal_their_formula(tiny) -> None:
    """Dai et al. 2019, section 3.3: the four terms, for each pair of positions by itself."""
    relative = RelativeScores(tiny(positions="transformer_xl"))
    generator = torch.Generator().manual_seed(1)
    for parameter in relative.parameters():
        parameter.data.normal_(generator=generator)
    q_BTHK, k_BSHK = torch.randn(1, 3, 2, 16, generator=generator), torch.randn(1, 5, 2, 16, generator=generator)
    query_BTHK, scores_BHTS = relative(q_BTHK, offset=2, causal=False)
    found_HTS = torch.einsum("bthk,bshk->hts", query_BTHK, k_BSHK) / 4 + scores_BHTS[0]
    for head, query, key in ((0, 0, 0), (1, 2, 4), (0, 1, 4), (1, 0, 4)):
        distance = query + 2 - key
        angles = [distance / 10_000 ** (2 * pair / 32) for pair in range(16)]
        r_D = torch.tensor([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
        wr_K = (relative.distance.weight @ r_D).view(2, 16)[head]
        q_K, k_K = q_BTHK[0, query, head], k_BSHK[0, key, head]
        u_K, v_K = relative.content.view(2, 16)[head], relative.position.view(2, 16)[head]
        expected = (q_K + u_K) @ k_K + (q_K + v_K) @ wr_K
        torch.testing.assert_close(found_HTS[head, query, key], expected / 4, atol=1e-4, rtol=1e-4)


def test_transformer_xl_without_keys_that_follow_scores_the_others_alike(tiny) -> None:
    """A causal stack computes half of the distances; those of a prefix that is seen both ways need them all."""
    relative = RelativeScores(tiny(positions="transformer_xl"))
    generator = torch.Generator().manual_seed(1)
    for parameter in relative.parameters():
        parameter.data.normal_(generator=generator)
    q_BTHK = torch.randn(2, 5, 2, 16, generator=generator)
    both, behind = (relative(q_BTHK, offset=3, causal=causal)[1] for causal in (False, True))
    seen_TS = torch.ones(5, 8, dtype=torch.bool).tril(3)
    torch.testing.assert_close(behind[..., seen_TS], both[..., seen_TS])
    model = build(tiny(positions="transformer_xl"), 50, seed=1)
    tokens_BT = torch.arange(12)[None]
    all_seen = model(tokens_BT, prefix_B=torch.tensor([12]))
    torch.testing.assert_close(all_seen, model(tokens_BT, causal=False), atol=1e-5, rtol=1e-5)
