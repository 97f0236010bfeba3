"""What people narrow the audit by, as the addresses of its pages carry it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from codeact_bot.types import Ending, Query

LONGEST = 200
"""Characters of one filter."""
REMEMBERED = 12
"""Earlier pages that one can go back to, one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """One field for each filter, as it was typed; an empty one does not restrict."""

    person: str = ""
    platform: str = ""
    channel: str = ""
    status: str = ""
    error: str = ""
    model: str = ""
    cost: str = ""
    """US dollars at least."""
    text: str = ""
    since: str = ""
    until: str = ""
    """The last day, all of it."""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Filters:
        """Read an address; `q` is the text."""
        names = {name: "q" if name == "text" else name for name in asdict(cls())}
        return cls(**{name: given.get(key, "")[:LONGEST].strip() for name, key in names.items()})

    @property
    def given(self) -> dict[str, str]:
        """Those that restrict, by the names that addresses have for them."""
        return {"q" if name == "text" else name: value for name, value in asdict(self).items() if value}

    @property
    def narrow(self) -> bool:
        """Whether any restricts but the text."""
        return any(name != "q" for name in self.given)

    @property
    def address(self) -> str:
        """The part of an address that has them."""
        return urlencode(self.given)

    def query(self, *, limit: int = 50, cursor: str = "") -> Query:
        """Return what the store is asked for; what cannot be read does not restrict."""
        last = _day(self.until)
        return Query(
            person=self.person,
            platform=self.platform,
            channel=self.channel,
            ending=Ending(self.status) if self.status in set(Ending) else None,
            error=self.error,
            model=self.model,
            min_cost=_cost(self.cost),
            text=self.text,
            since=_day(self.since),
            until=last + timedelta(days=1) if last and last.year < datetime.max.year else None,
            limit=limit,
            cursor=cursor,
        )


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def _cost(text: str) -> float:
    try:
        cost = float(text)
    except ValueError:
        return 0.0
    return cost if math.isfinite(cost) and cost > 0 else 0.0


def cursors_before(text: str) -> list[str]:
    """Read the pages before one, the nearest last; `-` is the first of all."""
    return [each for each in text[:10_000].split(".") if each][-REMEMBERED:]
