"""What people want to be asked by the clock in Slack, and where the answers go."""

from __future__ import annotations

from adapters.slack.people import visitor
from adapters.slack.places import Spot, Way, place_of
from adapters.slack.wire import Wire
from codeact_bot.types import Author, Order


async def order(wire: Wire, *, name: str, user: str, team: str, channel: str, thread: str, direct: bool) -> Order:
    """Return an order of somebody, its times still to be filled in; `name` tells this wish from others.

    In a thread or direct message each run goes on there, in a channel each begins a thread.
    """
    place = place_of(team, channel, thread)
    fresh = not thread and not direct
    return Order(
        name=name,
        when="",
        question="",
        author=Author(id=user, name=await wire.name(user)),
        subjects=tuple(sorted(visitor(user, team, channel).subjects())),
        zone=await wire.zone(user),
        home=f"{place}:s" if fresh else place,
        fresh=fresh,
        place=str(Spot(way=Way.ASK if fresh else Way.SAY, channel=channel, thread=thread)),
        channel=place_of(team, channel),
    )
