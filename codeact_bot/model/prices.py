"""What models cost, in US dollars per million tokens, at standard rates for short contexts.

Looked up on 2026-11-24, as published third hand; the provider's own page has the last word. Sources:
GPT-4o, GPT-4.1, GPT-5, GPT-5 mini, o1, o3, o3-mini, o4-mini: docs.rs/crate/adk-model/2.1.0 (openai/pricing.rs);
GPT-5 nano, GPT-5 Pro, GPT-5.1: deploybase.ai/articles/openai-pricing (March 2026), cached input at the family's tenth, none for Pro;
GPT-5.4 and GPT-5.5: morphllm.com/openai-api-pricing (June 2026);
GPT-5.6 Terra and Luna: docs.laozhang.ai/en/announcements/gpt-5-6-pricing-2026-07;
GPT-6 Sol and Luna: github.com/merefield/codexometer release v0.18.4; GPT-6 Astra: github.com/TheKrush/PromptFuel release v1.0.19;
GPT-6.1 Sol: github.com/premk134/codex-token-watch release v0.3.3; GPT-6.1 Terra: github.com/TheKrush/PromptFuel release v1.0.24.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from codeact_bot.types import Price


def _price(input_: float, cached: float, output: float) -> Price:
    return Price(input=input_, cached=cached, output=output)


PRICES: Mapping[str, Price] = MappingProxyType({
    "gpt-4o": _price(2.50, 1.25, 10.00),
    "gpt-4o-mini": _price(0.15, 0.075, 0.60),
    "gpt-4.1": _price(2.00, 0.50, 8.00),
    "gpt-4.1-mini": _price(0.40, 0.10, 1.60),
    "gpt-4.1-nano": _price(0.10, 0.025, 0.40),
    "gpt-5": _price(1.25, 0.125, 10.00),
    "gpt-5-mini": _price(0.25, 0.025, 2.00),
    "gpt-5-nano": _price(0.05, 0.005, 0.40),
    "gpt-5-pro": _price(15.00, 15.00, 120.00),
    "gpt-5.1": _price(1.25, 0.125, 10.00),
    "gpt-5.4": _price(2.50, 0.25, 15.00),
    "gpt-5.4-mini": _price(0.75, 0.075, 4.50),
    "gpt-5.4-nano": _price(0.20, 0.02, 1.25),
    "gpt-5.5": _price(5.00, 0.50, 30.00),
    "gpt-5.6-terra": _price(2.00, 0.20, 12.00),
    "gpt-5.6-luna": _price(0.20, 0.02, 1.20),
    "gpt-6-astra": _price(10.00, 1.00, 50.00),
    "gpt-6-sol": _price(2.00, 0.20, 10.00),
    "gpt-6-luna": _price(0.10, 0.01, 0.50),
    "gpt-6.1-sol": _price(2.00, 0.10, 10.00),
    "gpt-6.1-terra": _price(1.00, 0.05, 5.00),
    "o1": _price(15.00, 7.50, 60.00),
    "o3": _price(2.00, 0.50, 8.00),
    "o3-mini": _price(1.10, 0.55, 4.40),
    "o4-mini": _price(1.10, 0.275, 4.40),
})

_VERSION = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4}|latest)")


def price_of(model: str, prices: Mapping[str, Price] = PRICES) -> Price | None:
    """Return the price of a model, of the longest name that `model` is a dated version of; None where it is not known.

    `gpt-4o-2024-08-06` and `openai/gpt-4o` cost what `gpt-4o` does; `gpt-4o-audio-preview` is another model, of unknown price.
    """
    for name in (model, model.rsplit("/", 1)[-1]):
        for known in sorted(prices, key=len, reverse=True):
            if name == known or (name.startswith(known) and _VERSION.fullmatch(name[len(known) :])):
                return prices[known]
    return None


def cost_of(price: Price | None, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> float:
    """Return US dollars for these tokens, 0 where the price is not known; `cached_tokens` are part of `input_tokens`."""
    if price is None:
        return 0.0
    fresh = input_tokens - cached_tokens
    return (fresh * price.input + cached_tokens * price.cached + output_tokens * price.output) / 1_000_000
