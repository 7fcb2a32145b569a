"""Promise: communication costs what rings cost."""

from dataclasses import replace

import pytest

from pipeline.planning import communication
from pipeline.planning.communication import all_gather, all_reduce
from pipeline.planning.devices import DEVICES

H100 = DEVICES["h100"]


@pytest.fixture(autouse=True)
def _no_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(communication, "LATENCY_LINK", 0.0)
    monkeypatch.setattr(communication, "LATENCY_NETWORK", 0.0)


def test_one_device_waits_for_nobody() -> None:
    assert all_reduce(1e9, 1, H100) == 0


@pytest.mark.parametrize("devices", [2, 4, 8])
def test_within_a_node_each_byte_goes_round_the_ring_twice_but_for_ones_own_part(devices: int) -> None:
    assert all_reduce(1e9, devices, H100) == pytest.approx(2 * (devices - 1) / devices * 1e9 / H100.link)


def test_between_nodes_each_device_sends_its_own_part() -> None:
    within = 2 * 7 / 8 * 1e9 / H100.link
    assert all_reduce(1e9, 32, H100) == pytest.approx(within + 2 * 3 / 4 * (1e9 / 8) / H100.network)


def test_an_all_reduce_is_a_reduce_scatter_and_an_all_gather() -> None:
    assert all_reduce(1e9, 64, H100) == pytest.approx(2 * all_gather(1e9, 64, H100))


def test_latency_grows_with_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(communication, "LATENCY_NETWORK", 1e-5)
    alone = replace(H100, node=1)
    assert all_reduce(0, 1024, alone) == pytest.approx(2 * 1023 * 1e-5)
