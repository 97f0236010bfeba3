"""What a model takes: tokens and money."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and money; adds up with `+`."""

    input_tokens: int = 0
    """All input tokens, the cached ones included."""
    cached_tokens: int = 0
    """Input tokens that the provider served from its prompt cache."""
    output_tokens: int = 0
    cost: float = 0.0
    """US dollars; 0 where the model has no known price."""
    estimated: bool = False
    """True where any figure was estimated because the stream was closed before the model reported it."""

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=self.cost + other.cost,
            estimated=self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, in US dollars per million tokens."""

    input: float
    cached: float
    output: float
