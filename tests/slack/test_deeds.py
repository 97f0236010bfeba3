"""Buttons, /codeact, the shortcut, the home tab, edits and deletions, and who may."""

from __future__ import annotations

from dataclasses import replace

import nbformat
import pytest

from codeact_bot.types import Access, Deed, File, Kind, Status, ThreadId, Trail
from tests.adapters import stage
from tests.slack.conftest import World, until
from tests.slack.emulator import ANN, BOB, BOT, CHANNEL, OTHER, TEAM, labels, shown

pytestmark = pytest.mark.needs("slack")

STEPS = [
    stage.ran(0, "1/0", "Let me divide.", status=Status.ERROR, error=stage.CodeError(type="ZeroDivisionError", message="division by zero", traceback="Trace")),
    stage.ran(1, "print(4)", "Once more.", output="4\n"),
]


async def whispered(world: World, words: str, channel: str = CHANNEL) -> dict:
    found: list[dict] = []

    async def there() -> bool:
        found[:] = [each for each in await world.slack.whispers(channel) if words in each["text"] or words in shown(each)]
        return bool(found)

    await until(there)
    return found[-1]


async def view(world: World) -> dict:
    """The modal that was opened last."""
    await until(lambda: world.proxy.calls["views.open"] > 0)
    return next(given["view"] for method, given in reversed(world.proxy.given) if method == "views.open")


async def test_stop_stops_and_only_those_who_may(world: World) -> None:
    await world.ask()
    await world.core.begin()
    (post,) = await world.slack.posts()
    await world.slack.press(post, "Stop", user=BOB)
    assert (await whispered(world, "only the person who asked"))["ephemeral_to"] == BOB
    assert not world.core.stopped
    await world.slack.press(post, "Stop")
    await until(lambda: bool(world.core.stopped))


async def test_people_who_were_allowed_may_stop(world: World) -> None:
    await world.ask()
    await world.core.begin()
    await world.slack.command(f"allow <@{BOB}>")
    await whispered(world, "bob may now stop")
    (post,) = await world.slack.posts()
    await world.slack.press(post, "Stop", user=BOB)
    await until(lambda: bool(world.core.stopped))
    await until(lambda: len(world.core.store._records) == 2)
    assert await recorded(world, Deed.STOPPED) == [(BOB, world.core.accepted[0].thread)]
    assert await recorded(world, Deed.PERMITTED) == [(ANN, world.core.accepted[0].thread)]


@pytest.mark.parametrize("access", [Access(admins=(f"slack:user:{BOB}",))])
async def test_admins_may_stop(world: World) -> None:
    ts = await world.ask()
    await world.core.begin()
    await world.slack.send("Stop!", user=BOB, thread=ts)
    await until(lambda: bool(world.core.stopped))
    assert len(world.core.accepted) == 1


async def test_buttons_work_after_a_restart(world: World) -> None:
    await world.ask()
    _, post = await world.answered(steps=STEPS)
    assert labels(post) == ["Retry", "Show code", "Download notebook", "Fork from here"]
    await world.restart()
    await world.slack.press(post, "Show code")
    modal = shown(await view(world))
    for part in ("1/0", "Trace", "print(4)", "4"):
        assert part in modal
    await world.slack.press(post, "Retry")
    await until(lambda: len(world.core.accepted) == 2)
    first, second = world.core.accepted
    assert (second.text, second.thread) == (first.text, first.thread)
    _, again = await world.answered("Again.")
    assert again["thread_ts"] == post["thread_ts"]
    await world.slack.press(post, "Download notebook")
    found: list[dict] = []

    async def uploaded() -> bool:
        found[:] = [file for each in await world.slack.posts() for file in each.get("files", ())]
        return bool(found)

    await until(uploaded)
    data = await world.adapter._wire.download(found[0]["url_private_download"].replace(world.slack.address, world.proxy.address), 1 << 20)
    nbformat.validate(nbformat.reads(data.decode(), 4))


async def test_an_edited_question_offers_a_re_run(world: World) -> None:
    ts = await world.ask("What is 2 + 2?")
    await world.answered()
    await world.slack.control("edit-message", channel=CHANNEL, ts=ts, user=ANN, text=f"<@{BOT}> What is 3 + 3?")
    offer = await whispered(world, "You edited your question")
    await world.slack.press(offer, "Run the edited question")
    await until(lambda: len(world.core.accepted) == 2)
    assert world.core.accepted[1].text == "What is 3 + 3?"
    _, post = await world.answered("It is 6.")
    assert post["thread_ts"] == ts


async def test_an_edited_question_that_waits_is_exchanged(world: World) -> None:
    root = await world.ask("first")
    ts = await world.ask("second", thread=root)
    await world.slack.control("edit-message", channel=CHANNEL, ts=ts, user=ANN, text=f"<@{BOT}> third")
    await until(lambda: len(world.core.accepted) == 3)
    await world.core.answer()
    turn, _ = await world.answered()
    assert turn.incoming.text == "third"
    assert not await world.core.store.pending(turn.incoming.thread)


async def test_deleting_the_question_stops_it(world: World) -> None:
    root = await world.ask("first")
    await world.core.begin()
    waiting = await world.ask("second", thread=root)
    await world.slack.control("delete-message", channel=CHANNEL, ts=waiting, user=ANN)
    thread = world.core.accepted[0].thread

    async def gone() -> bool:
        return len(await world.core.store.pending(thread)) == 1

    await until(gone)
    await world.slack.control("delete-message", channel=CHANNEL, ts=root, user=ANN)
    await until(lambda: bool(world.core.stopped))


async def test_deleting_a_question_that_has_a_thread_stops_it(world: World) -> None:
    """Slack announces that as a change: the message stays as a tombstone for its thread."""
    ts = await world.ask("first")
    await world.core.begin()
    before = {"type": "message", "ts": ts, "thread_ts": ts, "user": ANN, "text": f"<@{BOT}> first"}
    left = {"type": "message", "subtype": "tombstone", "ts": ts, "thread_ts": ts, "user": "USLACKBOT", "text": "This message was deleted.", "hidden": True}
    event = {"type": "message", "subtype": "message_changed", "channel": CHANNEL, "ts": "9.1", "event_ts": "9.1", "message": left, "previous_message": before}
    name = await world.proxy.inject("events_api", {"type": "event_callback", "team_id": TEAM, "event_id": "E9", "event": event})
    await until(lambda: world.proxy.acknowledged(name))
    assert world.core.stopped
    assert not await world.slack.whispers()


async def test_ask_by_command_posts_the_question_and_goes_on_in_its_thread(world: World) -> None:
    await world.slack.command("ask What is <!channel> 2 + 2?")
    await until(lambda: bool(world.core.accepted))
    turn, post = await world.answered("It is 4.")
    (question, answer) = await world.slack.posts()
    assert "ann asks:" in shown(question)
    assert "What is @channel 2 + 2?" in shown(question)
    assert answer["ts"] == post["ts"]
    assert post["thread_ts"] == question["ts"]
    await world.slack.send("and more?", thread=question["ts"], user=BOB)
    await until(lambda: len(world.core.accepted) == 2)
    assert world.core.accepted[1].thread == turn.incoming.thread


async def test_stop_history_and_help_by_command(world: World) -> None:
    await world.ask("How many sheep?")
    await world.core.begin()
    await world.slack.command("stop", user=BOB)
    await whispered(world, "None of your questions")
    await world.slack.command("stop")
    await whispered(world, "Stopping “How many sheep?”")
    assert world.core.stopped
    await world.ask("How many goats?", channel=OTHER)
    await world.core.accept(replace(world.core.accepted[0], id="C12:1", thread=ThreadId(f"slack:{TEAM}:{CHANNEL}2:1"), text="How many secret sheep?"))
    await world.core.begin()
    await world.core.begin()
    await world.slack.command("history sheep")
    listed = shown(await whispered(world, "How many sheep?"))
    assert "goats" not in listed
    assert "secret" not in listed
    await world.slack.command("histroy")
    await whispered(world, "Did you mean")
    await world.slack.command("help")
    await whispered(world, "I answer questions by writing and running Python")


async def test_export_is_sent_privately(world: World) -> None:
    await world.ask()
    await world.answered("It is 4.")
    await world.slack.command("export yaml")
    await whispered(world, "I can export md, json, ipynb, jsonl")
    await world.slack.command("export md")
    await whispered(world, "direct message")
    direct = next(each["id"] for each in (await world.slack.state())["channels"] if each["is_im"])
    assert [file["name"][-3:] for each in await world.slack.posts(direct) for file in each.get("files", ())] == [".md"]


async def test_new_begins_a_conversation_in_a_direct_message(world: World) -> None:
    channel = await world.adapter._wire.direct(ANN)
    await world.slack.send("first", channel=channel)
    await until(lambda: len(world.core.accepted) == 1)
    await world.slack.command("new", channel=channel)
    await whispered(world, "begins a new conversation", channel)
    await world.slack.send("second", channel=channel)
    await until(lambda: len(world.core.accepted) == 2)
    first, second = world.core.accepted
    assert second.thread.startswith(f"{first.thread}#")
    await world.core.answer()
    await world.core.answer()
    assert len(await world.slack.posts(channel)) == 2


async def test_a_message_can_be_run_by_a_shortcut(world: World) -> None:
    ts = await world.slack.send("What is 7 * 6?", user=BOB)
    message = {"type": "message", "ts": ts, "user": BOB, "text": "What is 7 * 6?"}
    payload = {"type": "message_action", "callback_id": "codeact_run", "trigger_id": "1.2", "team": {"id": TEAM}, "user": {"id": ANN}}
    await world.proxy.inject("interactive", {**payload, "channel": {"id": CHANNEL}, "message": message, "message_ts": ts})
    await whispered(world, "I am on it")
    (incoming,) = world.core.accepted
    assert (incoming.text, incoming.author.name) == ("What is 7 * 6?", "ann")
    _, post = await world.answered("42.")
    assert post["thread_ts"] == ts


async def test_the_home_tab_says_what_the_bot_can_do(world: World) -> None:
    await world.slack.control("open-home", user=ANN)
    await until(lambda: world.proxy.calls["views.publish"] == 1)
    (given,) = [given for method, given in world.proxy.given if method == "views.publish"]
    assert "I answer questions by writing and running Python" in shown(given["view"])


@pytest.mark.parametrize(
    "access", [Access(allow=(f"slack:user:{ANN}",)), Access(deny=(f"slack:user:{BOB}",)), Access(allow=(f"slack:channel:{OTHER}", f"slack:user:{ANN}"))]
)
async def test_a_stranger_gets_one_private_sentence(world: World) -> None:
    ts = await world.slack.send(f"<@{BOT}> let me in", user=BOB)
    assert (await whispered(world, "not on the list"))["ephemeral_to"] == BOB
    await world.slack.send(f"<@{BOT}> please", user=BOB, thread=ts)
    await world.slack.command("history", user=BOB)
    await world.ask("hello")
    assert [each.author.name for each in world.core.accepted] == ["ann"]
    assert [each for each in await world.slack.posts() if "thread_ts" not in each or each["thread_ts"] == ts] == []
    assert {who for who, _ in await recorded(world, Deed.REFUSED)} == {BOB}


async def recorded(world: World, kind: Deed) -> list[tuple[str, str]]:
    """Who did it, and in which conversation, as the audit has it."""
    entries = [record.entry for record in (await world.core.store.records(Trail(kind=kind))).records]
    return [(entry.author.id if entry.author else "", entry.thread) for entry in entries]


async def test_other_bots_are_ignored(world: World) -> None:
    ts = await world.ask("a person's question")
    for number, who in enumerate([{"subtype": "bot_message", "bot_id": "B9"}, {"bot_id": "B9", "user": "U9"}, {"user": BOT}]):
        event = {"type": "message", "channel": CHANNEL, "ts": f"1.{number}", "thread_ts": ts, "text": f"<@{BOT}> hi", **who}
        payload = {"type": "event_callback", "team_id": TEAM, "event_id": f"E{number}", "event": event}
        name = await world.proxy.inject("events_api", payload)
        await until(lambda name=name: world.proxy.acknowledged(name))
    assert len(world.core.accepted) == 1


async def test_files_and_pictures_arrive_with_the_answer(world: World) -> None:
    step = stage.ran(0, "plot()", images=(File.of("figure-1.png", stage.PNG),), files=(File.of("out/report.csv", b"a\n1\n"),), tables=(stage.TABLE,))
    await world.ask()
    await world.answered(steps=[step])
    posts = await world.slack.posts()
    files = [file for each in posts for file in each.get("files", ())]
    assert [file["name"] for file in files] == ["figure-1.png", "report.csv", "table-1.csv"]
    assert "Picture figure-1.png" in files[0].get("alt_txt", "")
    tables = [block for each in posts for block in each.get("blocks") or () if block["type"] == "table"]
    assert [cell["text"] for cell in tables[0]["rows"][1]] == ["north", "1,204", "88,310.50", "73.35"]
    assert "3 rows of 240 shown." in shown(posts[1])


async def test_a_file_that_is_too_large_gets_a_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.slack.uploads.LIMIT", 10)
    await world.slack.attach(f"<@{BOT}> sum it", "sales.csv", b"x" * 11)
    await until(lambda: bool(world.core.accepted))

    async def told() -> bool:
        return any("is 11 B, and I take files up to 10 B" in shown(each) for each in await world.slack.posts())

    await until(told)
    assert world.core.accepted[0].files == ()


async def test_a_conversation_can_be_rewound(world: World) -> None:
    ts = await world.ask("first")
    await world.core.answer("One.", STEPS)
    await world.ask("second", thread=ts)
    await world.core.answer("Two.")
    await world.slack.command("rewind 3")
    await whispered(world, "has 2 answered questions")
    await world.slack.command("rewind x")
    await whispered(world, "How many questions back")
    await world.slack.command("rewind")
    await whispered(world, "goes on after question 1")
    await world.ask("third", thread=ts)
    await world.core.answer("Three.")
    first, second, third = world.core.accepted
    assert first.thread == second.thread != third.thread
    assert [turn.incoming.text for turn in await world.core.store.turns(third.thread)] == ["first", "third"]
    assert len(await world.core.store.turns(first.thread)) == 2
    assert (await world.slack.posts())[-1]["thread_ts"] == ts


async def test_fork_from_here_goes_on_in_a_thread_of_its_own_even_after_a_restart(world: World) -> None:
    ts = await world.ask("first")
    _, post = await world.answered("One.", steps=STEPS)
    await world.ask("<b> second", thread=ts)
    await world.answered("Two.")
    await world.restart()
    await world.slack.press(post, "Fork from here", user=BOB)
    await whispered(world, "a thread of its own")
    root = (await world.slack.posts())[-1]
    assert not root.get("thread_ts"), "it begins a thread"
    assert shown(root).replace("\n", "") == (
        "bob forked this from question 1, “first”. Write here to go on, with its history alone: the variables and files of then are no longer kept."
    ), "the small core keeps no state"
    (link,) = [part for part in root["blocks"][0]["elements"][0]["elements"] if part["type"] == "link"]
    assert post["ts"].replace(".", "") in link["url"]
    await world.slack.send("third", user=BOB, thread=root["ts"])
    await until(lambda: len(world.core.accepted) == 3)
    _, answer = await world.answered("Three.")
    assert answer["thread_ts"] == root["ts"]
    first, _, third = world.core.accepted
    assert [turn.incoming.text for turn in await world.core.store.turns(third.thread)] == ["first", "third"]
    assert len(await world.core.store.turns(first.thread)) == 2


async def test_a_second_press_of_fork_from_here_makes_no_second_fork(world: World) -> None:
    await world.ask("first")
    _, post = await world.answered("One.")
    world.proxy.twice = True
    await world.slack.press(post, "Fork from here")
    await whispered(world, "just done that")
    await whispered(world, "a thread of its own")
    assert len(await world.slack.posts()) == 2
    assert len(await world.core.store.threads(limit=10)) == 2


@pytest.mark.parametrize("access", [Access(deny=(f"slack:user:{BOB}",))])
async def test_strangers_may_not_fork(world: World) -> None:
    await world.ask("first")
    _, post = await world.answered("One.")
    await world.slack.press(post, "Fork from here", user=BOB)
    await whispered(world, "not on the list")
    assert len(await world.slack.posts()) == 1


async def test_a_conversation_is_forked_by_command_and_one_taken_back_is_not(world: World) -> None:
    ts = await world.ask("first")
    await world.core.answer("One.")
    await world.ask("second", thread=ts)
    _, post = await world.answered("Two.")
    await world.slack.command("fork 3")
    await whispered(world, "This conversation has 2")
    await world.slack.command("fork 1")
    await whispered(world, "a thread of its own")
    assert "question 1, “first”. Write here to go on, with the variables and files of then." in shown((await world.slack.posts())[-1]).replace("\n", "")
    await world.core.store.undo(world.core.accepted[0].thread)
    await world.slack.press(post, "Fork from here")
    await whispered(world, "was taken back")


async def test_a_fork_in_a_direct_message_goes_on_below_a_message_there(world: World) -> None:
    channel = await world.adapter._wire.direct(ANN)
    await world.slack.send("first", channel=channel)
    await until(lambda: len(world.core.accepted) == 1)
    _, post = await world.answered("One.")
    await world.slack.press(post, "Fork from here", channel=channel)
    await whispered(world, "a thread of its own", channel)
    root = (await world.slack.posts(channel))[-1]
    await world.slack.send("in the fork", channel=channel, thread=root["ts"])
    await until(lambda: len(world.core.accepted) == 2)
    await world.core.answer("Two.")
    await world.slack.send("as before", channel=channel)
    await until(lambda: len(world.core.accepted) == 3)
    first, forked, before = world.core.accepted
    assert first.thread == before.thread != forked.thread
    assert [turn.incoming.text for turn in await world.core.store.turns(forked.thread)] == ["first", "in the fork"]


async def test_a_lost_state_is_told_and_rebuilt_once_after_a_warning(world: World) -> None:
    ts = await world.ask("first")
    _, post = await world.answered("One.", steps=STEPS, lost="The variables are lost.", rebuild=2)
    assert "⚠ The variables are lost." in shown(post)
    assert "Rebuild state runs 2 recorded steps again." in shown(post)
    (button,) = [each for block in post["blocks"] if block["type"] == "actions" for each in block["elements"] if each["text"]["text"] == "Rebuild state"]
    assert "runs 2 recorded steps again" in button["confirm"]["text"]["text"]
    assert "happens again" in button["confirm"]["text"]["text"]
    await world.restart()
    await world.slack.press(post, "Rebuild state", user=BOB)
    await whispered(world, "only the person who asked")
    await world.slack.press(post, "Rebuild state")
    await until(lambda: len(world.core.accepted) == 2)
    asked = world.core.accepted[1]
    assert (asked.kind, asked.thread, asked.author.name) == (Kind.REBUILD, world.core.accepted[0].thread, "ann")
    made = stage.ran(0, "print(4)", "Again.", output="x" * 5000)
    made = replace(made, execution=replace(made.execution, images=(File.of("plot.png", b"png"),)))
    _, again = await world.answered("The state is rebuilt.", steps=[made])
    assert again["thread_ts"] == ts
    assert labels(again) == ["Show code", "Download notebook", "Fork from here"], "no button runs it again unasked"
    await world.slack.press(post, "Rebuild state")
    await whispered(world, "asked for already")
    assert len(world.core.accepted) == 2
    assert not [each for each in await world.slack.posts() if each.get("files")], "what its steps made was posted when they first ran"
