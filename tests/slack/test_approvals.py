"""Code that waits for a yes, in Slack: its post, its buttons, the words, and who may."""

from __future__ import annotations

import pytest

from adapters.common.approvals import ANSWERED, VOID
from codeact_bot.types import Access, Deed, Kind
from tests.slack.conftest import World, until
from tests.slack.emulator import BOB, CHANNEL, labels, shown
from tests.slack.test_deeds import recorded, whispered

pytestmark = pytest.mark.needs("slack")


async def proposed(world: World, code: str = "print(6 * 7)") -> tuple[str, dict]:
    """Let Ann ask, and the bot ask back; returns the question's time stamp and the post."""
    ts = await world.ask("What is 6 times 7?")
    turn = await world.core.propose(code)
    channel, _, posted = turn.reply.split(":")
    (post,) = [each for each in await world.slack.messages(channel) if each["ts"] == posted]
    return ts, post


async def accepted(world: World, count: int) -> None:
    await until(lambda: len(world.core.accepted) == count)


async def test_the_post_shows_the_code_and_its_buttons_work_after_a_restart_for_those_who_may(world: World) -> None:
    ts, post = await proposed(world)
    text = shown(post)
    for part in ("I multiply.", "print(6 * 7)", "May I run this code?", "step 1 · not run"):
        assert part in text
    assert labels(post) == ["Approve", "Decline", "Retry", "Show code", "Download notebook", "Fork from here"]
    await world.restart()
    await world.slack.press(post, "Approve", user=BOB)
    await whispered(world, "only the person who asked")
    assert len(await recorded(world, Deed.REFUSED)) == 1
    await world.slack.press(post, "Approve")
    await accepted(world, 2)
    first, said = world.core.accepted
    assert said.approval is not None
    assert (said.kind, said.thread, said.author.name, said.approval.yes) == (Kind.APPROVAL, first.thread, "ann", True)
    turn = (await world.core.store.turns(first.thread))[0]
    assert turn.outcome is not None
    assert (said.approval.turn, said.approval.digest) == (turn.id, turn.outcome.proposal)
    await world.slack.press(post, "Decline")
    await whispered(world, ANSWERED)
    _, answer = await world.answered("It is 42.")
    assert answer["thread_ts"] == ts
    assert "Approved by ann." in shown(answer)
    assert labels(answer) == ["Download notebook", "Fork from here"], "an approval cannot be asked again"
    await world.slack.press(post, "Approve")
    await until(lambda: world.proxy.calls["chat.postEphemeral"] == 3)
    assert len(world.core.accepted) == 2


async def test_people_who_were_allowed_may_say_no(world: World) -> None:
    _, post = await proposed(world)
    await world.core.store.permit(world.core.accepted[0].thread, BOB)
    await world.slack.press(post, "Decline", user=BOB)
    await accepted(world, 2)
    said = world.core.accepted[1]
    assert said.approval is not None
    assert (said.author.id, said.approval.yes, said.asker.name) == (BOB, False, "ann")


async def test_who_asked_may_stop_what_somebody_else_approved(world: World) -> None:
    _, post = await proposed(world)
    await world.core.store.permit(world.core.accepted[0].thread, BOB)
    await world.slack.press(post, "Approve", user=BOB)
    await accepted(world, 2)
    await world.core.begin()
    running = (await world.slack.posts())[-1]
    await world.slack.press(running, "Stop")
    await until(lambda: bool(world.core.stopped))


@pytest.mark.parametrize("access", [Access(admins=(f"slack:user:{BOB}",))])
async def test_the_words_are_understood_in_the_thread_once(world: World) -> None:
    ts, _ = await proposed(world)
    await world.slack.send("Approve!", user=BOB, thread=ts)
    await accepted(world, 2)
    assert world.core.accepted[1].approval is not None
    await world.slack.send("yes", thread=ts)
    await whispered(world, ANSWERED)
    await world.core.answer("It is 42.")
    await world.slack.send("yes", thread=ts)
    await accepted(world, 3)
    assert [each.kind for each in world.core.accepted] == [Kind.QUESTION, Kind.APPROVAL, Kind.QUESTION], "nothing waits for it any more"


async def test_words_of_others_are_refused(world: World) -> None:
    ts, _ = await proposed(world)
    await world.slack.send("approve", user=BOB, thread=ts)
    await whispered(world, "only the person who asked")
    assert len(world.core.accepted) == 1


async def test_who_asked_answers_for_what_comes_after_somebody_elses_yes(world: World) -> None:
    ts, post = await proposed(world)
    await world.core.store.permit(world.core.accepted[0].thread, BOB)
    await world.slack.press(post, "Approve", user=BOB)
    await accepted(world, 2)
    await world.core.propose("print(7 * 8)")
    await world.slack.send("decline", thread=ts)
    await accepted(world, 3)
    said = world.core.accepted[2]
    assert said.approval is not None
    assert (said.author.name, said.asker.name, said.approval.yes) == ("ann", "ann", False)


async def test_a_redelivered_word_is_taken_once_and_is_no_question(world: World) -> None:
    ts, _ = await proposed(world)
    world.proxy.twice = True
    await world.slack.send("approve", thread=ts)
    await accepted(world, 2)
    await world.core.answer("It is 42.")
    await world.slack.send("And 7 times 8?", thread=ts)
    await accepted(world, 3)
    assert [each.kind for each in world.core.accepted] == [Kind.QUESTION, Kind.APPROVAL, Kind.QUESTION]


async def test_a_question_in_between_makes_the_button_say_that_it_is_void(world: World) -> None:
    ts, post = await proposed(world)
    await world.slack.send("Something else?", thread=ts)
    await accepted(world, 2)
    await world.slack.press(post, "Approve")
    await whispered(world, VOID)
    assert [each.kind for each in world.core.accepted] == [Kind.QUESTION] * 2


async def test_long_code_comes_as_a_file_too(world: World) -> None:
    code = "\n".join(f"x{number} = {number}" for number in range(1_000))
    _, post = await proposed(world, code)
    assert "x0 = 0" in shown(post)
    assert "x999 = 999" in shown(post)
    assert "x500 = 500" not in shown(post)
    (files,) = [each["files"] for each in await world.slack.messages(CHANNEL) if each.get("files")]
    assert [file["name"] for file in files] == ["code.py"]
