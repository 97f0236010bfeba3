"""Prices are found for dated names and for no other model's."""

from __future__ import annotations

import pytest

from codeact_bot.model.prices import PRICES, cost_of, price_of
from codeact_bot.types import Price


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/gpt-4.1-mini", "gpt-4.1-mini"),
        ("o3-2025-04-16", "o3"),
    ],
)
def test_dated_and_prefixed_names_are_found(name, known):
    assert price_of(name) == PRICES[known]


@pytest.mark.parametrize("name", ["gpt-4o-audio-preview", "gpt-5-image", "gpt-5.9", "o3-deep-research", "llama3", ""])
def test_other_models_have_no_price(name):
    assert price_of(name) is None


def test_prices_can_be_added():
    mine = Price(input=1, cached=1, output=1)
    assert price_of("house-model", {"house-model": mine}) == mine
    assert price_of("org/house-model", {"org/house-model": mine}) == mine


def test_cached_tokens_cost_less():
    price = Price(input=2, cached=0.5, output=8)
    assert cost_of(price, input_tokens=1_000_000, cached_tokens=400_000, output_tokens=100_000) == pytest.approx(1.2 + 0.2 + 0.8)
    assert cost_of(None, input_tokens=5, cached_tokens=0, output_tokens=5) == 0


def test_cached_input_is_never_dearer():
    assert all(0 < price.cached <= price.input < price.output for price in PRICES.values())
