"""What a stream sends of turns that run here, ran here, or run elsewhere."""

from __future__ import annotations

from adapters.common.story import Story
from adapters.web.follow import Follower
from adapters.web.hub import Hub
from adapters.web.rooms import Room
from adapters.web.state import Web
from codeact_bot.desk import StoreDesk
from codeact_bot.store.memory import MemoryStore
from codeact_bot.types import CodeStarted, Glimpse, Output, StepDone, ThreadId, Turn, TurnDone
from tests.adapters import stage
from tests.adapters.core import Core
from tests.store.make import ANSWERED, answered, begun, message, ran, step

THREAD = ThreadId("web:1")


async def always() -> bool:
    return True


async def follower(store: MemoryStore, hub: Hub, after: str = "") -> Follower:
    room = Room(thread=await store.thread(THREAD), base="/t/web%3A1", may_write=True, may_fork=True)
    return Follower(Web(desk=StoreDesk(store), inbox=Core(), hub=hub, base="http://x"), room, after, always)


def ids(turn: Turn) -> list[str]:
    return [f"{name}-{turn.id}" for name in ("turn", "thought", "code", "output", "notices", "state")]


async def test_a_turn_that_runs_here_is_sent_piece_by_piece_and_each_once() -> None:
    store, hub = MemoryStore(), Hub()
    _, turn = await begun(store, message("a", THREAD))
    story = Story(turn)
    with hub.following(THREAD, lambda: None):
        hub.begin(story)
        stream = await follower(store, hub)
        assert await stream.look() == []
        assert [each.id for each in stream.changed(stream.current())] == [*ids(turn), "waiting"]
        story.hear(CodeStarted(index=0, code="print(1)"))
        assert [each.id for each in stream.changed(stream.current())] == [f"{name}-{turn.id}" for name in ("code", "state")]
        story.hear(Output(text="1\n"))
        assert [each.id for each in stream.changed(stream.current())] == [f"output-{turn.id}"]
        assert stream.changed(stream.current()) == []
        story.hear(StepDone(step=stage.ran(0, "print(1)", output="1\n")))
        assert f"step-{turn.id}-0" in [each.id for each in stream.changed(stream.current())]
        assert f"step-{turn.id}-0" not in [each.id for each in stream.current()]
        done = stage.ended(turn, [stage.ran(0, "print(1)")], "One.")
        story.hear(TurnDone(turn=done.turn))
        hub.end(story)
        (last, _) = stream.current()
        assert (last.id, "One." in last.html) == (f"turn-{turn.id}", True)
    assert hub.story(THREAD) is None, "nobody looks any more"


async def test_what_runs_elsewhere_after_a_turn_that_ran_here_is_sent_too() -> None:
    store, hub = MemoryStore(), Hub()
    first = await answered(store, message("a", THREAD))
    with hub.following(THREAD, lambda: None):
        hub.end(Story(first))
        stream = await follower(store, hub)
        lease, second = await begun(store, message("b", THREAD))
        await store.save_step(lease, second.id, step(0, "print(2)"))
        assert [each.id for each in await stream.look()] == [f"turn-{first.id}"]
        sent = stream.changed(stream.current())
        assert [each.id for each in sent] == [*ids(second), "waiting"]
        assert "print" in next(each.html for each in sent if each.id == f"code-{second.id}")
        await store.save_step(lease, second.id, step(0, "print(2)", execution=ran()))
        await stream.look()
        assert f"step-{second.id}-0" in [each.id for each in stream.changed(stream.current())]
        await store.push(message("c", THREAD, "<b>next</b>"))
        await stream.look()
        (queue,) = stream.changed(stream.current())
        assert "&lt;b&gt;next&lt;/b&gt;" in queue.html


async def test_what_a_step_shows_elsewhere_is_sent_while_it_lasts() -> None:
    store, hub = MemoryStore(), Hub()
    lease, turn = await begun(store, message("a", THREAD))
    stream = await follower(store, hub)
    await store.save_glimpse(lease, turn.id, Glimpse(step=0, running=False, thought="Let me <b>see</b>"))
    await stream.news()
    sent = {each.id: each.html for each in stream.changed(stream.current())}
    assert "Let me &lt;b&gt;see&lt;/b&gt;" in sent[f"thought-{turn.id}"]
    assert stream.pause < 1.0
    await store.save_step(lease, turn.id, step(0, "print(2)"))
    await store.save_glimpse(lease, turn.id, Glimpse(step=0, running=True, output="tick 3\n", cut=5))
    await stream.news()
    sent = {each.id: each.html for each in stream.changed(stream.current())}
    assert ("tick 3" in sent[f"output-{turn.id}"], "5 characters before" in sent[f"output-{turn.id}"]) == (True, True)
    assert "print" in sent[f"code-{turn.id}"]
    assert "Running the code" in sent[f"state-{turn.id}"]
    await store.save_glimpse(lease, turn.id, Glimpse(step=0, running=True, output="tick 3\ntick 4\n"))
    await stream.news()
    assert [each.id for each in stream.changed(stream.current())] == [f"output-{turn.id}"]


async def test_turns_that_are_undone_leave_the_page_and_do_not_come_back() -> None:
    store, hub = MemoryStore(), Hub()
    first, second = [await answered(store, message(name, THREAD)) for name in "ab"]
    with hub.following(THREAD, lambda: None):
        hub.end(Story(second))
        stream = await follower(store, hub)
        assert [each.id for each in await stream.look()] == [f"turn-{first.id}", f"turn-{second.id}"]
        await store.undo(THREAD)
        third = await answered(store, message("c", THREAD))
        sent = await stream.look()
        assert [(each.id, bool(each.html)) for each in sent] == [(f"turn-{second.id}", False), (f"turn-{third.id}", True)]
        assert [each.id for each in stream.current()] == ["waiting"]
        assert await stream.look() == []
        await store.undo(THREAD)
        await store.undo(THREAD)
        assert [(each.id, each.html) for each in await stream.look()] == [(f"turn-{first.id}", ""), (f"turn-{third.id}", "")]
        assert not stream.reload


async def test_a_turn_that_takes_the_place_of_another_within_the_same_millisecond_is_seen() -> None:
    store, hub = MemoryStore(), Hub()
    last = await answered(store, message("a", THREAD))
    stream = await follower(store, hub)
    await stream.look()
    for number in range(20):
        await store.undo(THREAD)
        first, last = last, await answered(store, message(f"b{number}", THREAD))
        assert [each.id for each in await stream.look()] == [f"turn-{first.id}", f"turn-{last.id}"]


async def test_a_page_that_shows_what_was_undone_meanwhile_is_loaded_anew() -> None:
    store, hub = MemoryStore(), Hub()
    _, second = [await answered(store, message(name, THREAD)) for name in "ab"]
    await store.undo(THREAD)
    stream = await follower(store, hub, second.id)
    await stream.look()
    assert stream.reload


async def test_a_turn_that_ends_unseen_comes_before_the_one_that_runs_now() -> None:
    store, hub = MemoryStore(), Hub()
    lease, first = await begun(store, message("a", THREAD))
    with hub.following(THREAD, lambda: None):
        hub.begin(Story(first))
        stream = await follower(store, hub)
        await stream.news()
        assert f"turn-{first.id}" in [each.id for each in stream.changed(stream.current())]
        await store.end_turn(lease, first.id, ANSWERED)
        await store.release(lease)
        unseen = await answered(store, message("b", THREAD))
        _, third = await begun(store, message("c", THREAD))
        hub.begin(Story(third))
        assert [each.id for each in stream.current() if each.id.startswith("turn")] == [], "it is not its turn yet"
        sent = [*await stream.news(), *stream.current()]
        assert [each.id for each in sent if each.id.startswith("turn")] == [f"turn-{each.id}" for each in (first, unseen, third)]


async def test_a_turn_that_is_undone_before_the_store_was_asked_leaves_the_page_too() -> None:
    store, hub = MemoryStore(), Hub()
    first = await answered(store, message("a", THREAD))
    lease, second = await begun(store, message("b", THREAD))
    with hub.following(THREAD, lambda: None):
        hub.begin(story := Story(second))
        stream = await follower(store, hub)
        await stream.look()
        done = await store.end_turn(lease, second.id, ANSWERED)
        await store.release(lease)
        story.hear(TurnDone(turn=done))
        hub.end(story)
        assert f"turn-{second.id}" in [each.id for each in stream.current()]
        await store.undo(THREAD)
        assert [(each.id, each.html) for each in await stream.look()] == [(f"turn-{second.id}", "")]
        assert first.id in stream.position
