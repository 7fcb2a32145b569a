"""Seeded dropout: the noise of a sequence is its own, and it is as good as random."""

import pytest
import torch

from pipeline.models.build import build
from pipeline.models.dropout import SeededDropout, random_bits

SHAPE = torch.Size((8, 256, 256))


def seeds(count: int, start: int = 0) -> torch.Tensor:
    return torch.arange(start, start + count)


def test_noise_does_not_depend_on_the_micro_batch_or_the_order(tiny) -> None:
    model = build(tiny(dropout=0.3, embedding_dropout=0.2), 50, seed=1).train()
    tokens_BT = torch.randint(0, 50, (6, 9), generator=torch.Generator().manual_seed(1))
    whole = model(tokens_BT, seeds_B=seeds(6))
    parts = [model(part, seeds_B=its) for part, its in zip(tokens_BT.split(4), seeds(6).split(4), strict=True)]
    torch.testing.assert_close(torch.cat(parts), whole)
    torch.testing.assert_close(model(tokens_BT.flip(0), seeds_B=seeds(6).flip(0)).flip(0), whole)
    # Padding to the longest of another micro batch changes nothing either.
    padded_BT = torch.cat([tokens_BT, tokens_BT], dim=1)
    torch.testing.assert_close(model(padded_BT, seeds_B=seeds(6))[:, :9], whole)


def test_equal_seeds_repeat_and_other_seeds_differ(tiny) -> None:
    model = build(tiny(dropout=0.3), 50, seed=1).train()
    tokens_BT = torch.randint(0, 50, (1, 9), generator=torch.Generator().manual_seed(1)).expand(3, 9)
    first, again, other = model(tokens_BT, seeds_B=torch.tensor([7, 7, 8]))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-2)


def test_the_global_random_state_is_neither_read_nor_moved(tiny) -> None:
    model = build(tiny(dropout=0.3), 50, seed=1).train()
    tokens_BT = torch.zeros(2, 9, dtype=torch.int64)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = model(tokens_BT, seeds_B=seeds(2))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(model(tokens_BT, seeds_B=seeds(2)), first)


def test_there_is_no_dropout_without_seeds_or_in_eval(tiny) -> None:
    model = build(tiny(dropout=0.3, embedding_dropout=0.3), 50, seed=1).train()
    tokens_BT = torch.zeros(2, 9, dtype=torch.int64)
    plain = model(tokens_BT)
    assert not torch.allclose(model(tokens_BT, seeds_B=seeds(2)), plain, atol=1e-2)
    assert torch.equal(model.eval()(tokens_BT, seeds_B=seeds(2)), plain)


def test_every_dropout_of_a_network_has_a_site_of_its_own(tiny) -> None:
    sites = [m.site for m in build(tiny(layers=3), 50, seed=1).modules() if isinstance(m, SeededDropout)]
    assert len(sites) == len(set(sites)) == 7  # after the embeddings, and two in each block


def test_a_shared_block_has_noise_of_its_own_at_each_visit(tiny) -> None:
    """Else the twelve passes of ALBERT's one block would all drop the same elements."""
    model = build(tiny(family="encoder", share_layers=True, layers=12, dropout=0.3), 50, seed=1).train()
    seen = []
    model.stack.blocks[0].register_forward_pre_hook(lambda _, given: seen.append(given[1].seeds_B))
    tokens_BT = torch.randint(0, 50, (2, 9), generator=torch.Generator().manual_seed(1))
    model(tokens_BT, seeds_B=torch.tensor([7, 2**62])).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.stack.parameters())
    noise = [random_bits(seeds_B, 1, torch.Size((2, 9, 32))) for seeds_B in seen]
    assert len(noise) == 12
    for number, one in enumerate(noise):
        assert not any((one == other).float().mean() > 0.01 for other in noise[:number])


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_the_rate_is_kept_and_the_rest_scaled_so_that_the_mean_stays(rate) -> None:
    dropped = SeededDropout(rate, site=3)(torch.ones(SHAPE), seeds(8))
    zeros = (dropped == 0).float().mean().item()
    assert zeros == pytest.approx(rate, abs=4 * (rate * (1 - rate) / SHAPE.numel()) ** 0.5)
    assert torch.equal(dropped[dropped != 0].unique(), torch.tensor([1 / (1 - rate)]))


def test_gradients_are_dropped_with_the_elements() -> None:
    x = torch.ones(2, 3, 4, requires_grad=True)
    dropped = SeededDropout(0.5, site=3)(x, seeds(2))
    dropped.sum().backward()
    assert torch.equal(x.grad, dropped.detach())


def test_documents_without_a_time_axis_have_noise_too() -> None:
    dropped = SeededDropout(0.5, site=3)(torch.ones(400, 64), seeds(400))
    assert dropped.shape == (400, 64)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)


def z(products: torch.Tensor) -> float:
    """Sum of +1 and -1 in standard deviations of a fair coin's."""
    return abs(products.double().sum().item()) / products.numel() ** 0.5


@pytest.mark.parametrize("start", [0, 10**12])
def test_neighbours_of_every_kind_are_independent(start) -> None:
    """Each of the upper bits, as a coin, against the next position, channel, sequence and site; and 2 x 2 squares.

    An element's bits come from a hash of its row combined with a hash of its column. If the combination were too
    simple (an exclusive or alone), three corners of any square would give the fourth.
    """
    here, beyond = random_bits(seeds(8, start), 5, SHAPE), random_bits(seeds(8, start), 6, SHAPE)
    for bit in (31, 30, 29, 27, 24):
        coin, next_site = ((bits >> bit & 1) * 2 - 1 for bits in (here, beyond))
        found = {
            "mean": z(coin),
            "position": z(coin[:, 1:] * coin[:, :-1]),
            "channel": z(coin[:, :, 1:] * coin[:, :, :-1]),
            "sequence": z(coin[1:] * coin[:-1]),
            "site": z(coin * next_site),
            "square": z(coin[:, 1:, 1:] * coin[:, 1:, :-1] * coin[:, :-1, 1:] * coin[:, :-1, :-1]),
            "square over sites": z(coin[:, 1:] * coin[:, :-1] * next_site[:, 1:] * next_site[:, :-1]),
        }
        assert max(found.values()) < 4.5, found


def test_numbers_fill_their_range_evenly() -> None:
    counts = torch.histc(random_bits(seeds(8), 5, SHAPE).double(), 256, -(2**31), 2**31)
    expected = SHAPE.numel() / 256
    chi_squared = ((counts - expected).square() / expected).sum().item()
    assert 255 - 5 * 510**0.5 < chi_squared < 255 + 5 * 510**0.5


def by_the_formula(seed: int, site: int, position: int, channel: int) -> int:
    """The same hash in Python's unbounded integers."""

    def wrap(number: int, bits: int) -> int:
        return (number + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)

    def mix(number: int) -> int:
        """SplitMix64 (Steele et al. 2014), with its published constants."""
        number = (number + 1) * 0x9E3779B97F4A7C15 % 2**64
        number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        number = (number ^ number >> 27) * 0x94D049BB133111EB % 2**64
        return number ^ number >> 31

    bits = wrap(mix(mix(seed) + position), 32) ^ wrap(mix(mix(channel) + site), 32)
    bits = wrap(bits * 0x7FEB352D, 32)
    bits ^= bits >> 15
    return wrap(bits * 0x846CA68B, 32)


def test_the_noise_is_the_same_wherever_integers_are() -> None:
    """Torch's arithmetic wraps around as the hash wants it to, and a change of the hash does not go unnoticed."""
    seeds_B = torch.tensor([0, -5, 2**62])
    bits = random_bits(seeds_B, 4, torch.Size((3, 5, 7)))
    for b, seed in enumerate(seeds_B.tolist()):
        for t in range(5):
            assert bits[b, t].tolist() == [by_the_formula(seed, 4, t, d) for d in range(7)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_makes_the_same_noise_as_a_cpu() -> None:
    assert torch.equal(random_bits(seeds(8).cuda(), 5, SHAPE).cpu(), random_bits(seeds(8), 5, SHAPE))
