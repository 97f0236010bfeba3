"""Code that waits for a yes, in Discord: its post, its buttons, the words, and who may."""

from __future__ import annotations

import discord
import pytest

from adapters.common.approvals import ANSWERED, EARLY, HOW, OVERTAKEN, TAKEN_BACK, VOID, approving
from codeact_bot.types import WEB, Access, Author, Kind
from tests.discord.conftest import World
from tests.discord.test_messages import labels, own


async def proposed(world: World, code: str = "print(6 * 7)") -> discord.Message:
    """Let Ada ask, and the bot ask back; returns its post."""
    await world.ask("What is 6 times 7?")
    await world.core.propose(code)
    return own(world, world.thread)[0]


async def test_the_post_shows_the_code_and_its_buttons_work_after_a_restart_for_those_who_may(world: World) -> None:
    post = await proposed(world)
    for part in ("I multiply.", "```py\nprint(6 * 7)\n```", "May I run this code?", "? step 1 · not run"):
        assert part in post.content
    assert labels(post) == ["Approve", "Decline", "Retry", "Show code", "Download notebook", "Fork from here"]
    await world.restart()
    press = await world.bob.click(post, label="Approve")
    assert "only the person who asked" in press.response.content
    assert press.response.ephemeral
    await world.ada.click(post, label="Approve")
    first, said = world.core.accepted
    assert said.approval is not None
    assert (said.kind, said.thread, said.author.name, said.approval.yes) == (Kind.APPROVAL, first.thread, "Ada", True)
    turn = (await world.core.store.turns(first.thread))[0]
    assert turn.outcome is not None
    assert (said.approval.turn, said.approval.digest) == (turn.id, turn.outcome.proposal)
    assert (await world.ada.click(post, label="Decline")).response.content == ANSWERED
    await world.core.answer("It is 42.")
    answer = own(world, world.thread)[-1]
    assert "-# Approved by Ada." in answer.content
    assert labels(answer) == ["Download notebook", "Fork from here"], "an approval cannot be asked again"
    assert "Approve" not in labels(own(world, world.thread)[0]), "nor can it be answered again"
    assert len(world.core.accepted) == 2


async def test_people_who_were_allowed_may_say_no_and_who_asked_may_stop(world: World) -> None:
    post = await proposed(world)
    await world.core.store.permit(world.core.accepted[0].thread, str(world.bob.id))
    await world.bob.click(post, label="Decline")
    said = world.core.accepted[1]
    assert said.approval is not None
    assert (said.author.name, said.approval.yes, said.asker.name) == ("Bob", False, "Ada")
    await world.core.begin()
    await world.ada.click(own(world, world.thread)[-1], label="Stop")
    assert world.core.stopped


@pytest.mark.parametrize("access", [Access()])
async def test_the_words_are_understood_in_the_thread_once(world: World) -> None:
    await proposed(world)
    await world.bob.send(world.thread, "approve")
    assert len(world.core.accepted) == 1, "Bob may not"
    await world.ada.send(world.thread, "Approve!")
    assert [each.kind for each in world.core.accepted] == [Kind.QUESTION, Kind.APPROVAL]
    await world.ada.send(world.thread, "yes")
    assert own(world, world.thread)[-1].content == ANSWERED
    await world.core.answer("It is 42.")
    await world.ada.send(world.thread, "yes")
    assert [each.kind for each in world.core.accepted] == [Kind.QUESTION, Kind.APPROVAL, Kind.QUESTION]


async def test_who_asked_answers_for_what_comes_after_somebody_elses_yes(world: World) -> None:
    post = await proposed(world)
    await world.core.store.permit(world.core.accepted[0].thread, str(world.bob.id))
    await world.bob.click(post, label="Approve")
    await world.core.propose("print(7 * 8)")
    await world.ada.send(world.thread, "decline")
    said = world.core.accepted[2]
    assert said.approval is not None
    assert (said.author.name, said.asker.name, said.approval.yes) == ("Ada", "Ada", False)


async def test_a_word_that_is_heard_again_is_no_question(world: World) -> None:
    await proposed(world)
    word = await world.ada.send(world.thread, "no")
    await world.adapter.client.ear.hear(word)
    await world.core.answer("Declined.")
    await world.adapter.client.ear.hear(word)
    assert [each.kind for each in world.core.accepted] == [Kind.QUESTION, Kind.APPROVAL]


async def test_a_word_that_was_written_before_the_code_was_shown_does_not_count(world: World) -> None:
    await proposed(world)
    await world.ada.send(world.thread, "approve")
    lease, turn, reply = await world.core.begin()
    word = await world.ada.send(world.thread, "Yes.")
    await world.core.end(lease, turn)
    await reply.aclose()
    before = len(world.core.accepted)
    await world.ada.send(world.thread, "And 7 times 8?")
    await world.core.propose("print(7 * 8)")
    await world.adapter.client.ear.hear(word)
    assert own(world, world.thread)[-1].content == EARLY
    assert len(world.core.accepted) == before + 1


async def test_a_question_in_between_makes_the_button_say_that_it_is_void(world: World) -> None:
    post = await proposed(world)
    await world.ada.send(world.thread, "Something else?")
    assert (await world.ada.click(post, label="Approve")).response.content == VOID
    assert [each.kind for each in world.core.accepted] == [Kind.QUESTION] * 2


SETTLED = ["Retry", "Show code", "Download notebook", "Fork from here"]


@pytest.mark.parametrize(("label", "said"), [("Approve", "Approved by Ada."), ("Decline", "Declined by Ada.")])
async def test_the_post_says_who_decided_and_its_buttons_are_gone(world: World, label: str, said: str) -> None:
    post = await proposed(world)
    before = post.content
    assert HOW in before
    await world.ada.click(post, label=label)
    await world.core.answer("Done.")
    now = own(world, world.thread)[0]
    assert labels(now) == SETTLED
    assert now.content == before.replace(HOW, said)


async def test_the_post_says_that_something_else_was_asked(world: World) -> None:
    await proposed(world)
    await world.ada.send(world.thread, "Something else?")
    await world.core.answer("Done.")
    now = own(world, world.thread)[0]
    assert labels(now) == SETTLED
    assert OVERTAKEN in now.content


async def test_the_post_says_who_decided_on_the_web(world: World) -> None:
    await proposed(world)
    (turn,) = await world.core.store.turns(world.core.accepted[0].thread)
    await world.adapter.settle(turn, approving(turn, yes=False, author=Author(id="zoe", name="Zoe @everyone"), place=WEB))
    now = own(world, world.thread)[0]
    assert labels(now) == SETTLED
    assert "-# Declined by Zoe \\@everyone." in now.content


async def test_a_post_that_was_deleted_is_not_posted_again(world: World) -> None:
    post = await proposed(world)
    await post.delete()
    before = len(own(world, world.thread))
    (turn,) = await world.core.store.turns(world.core.accepted[0].thread)
    await world.adapter.settle(turn, world.core.accepted[0])
    assert len(own(world, world.thread)) == before


@pytest.mark.parametrize("command", ["new", "rewind"])
async def test_what_waits_is_taken_back_by_a_command(world: World, command: str) -> None:
    await proposed(world)
    await world.ada.slash(world.thread, f"codeact {command}")
    now = own(world, world.thread)[0]
    assert labels(now) == SETTLED
    assert TAKEN_BACK in now.content


async def test_long_code_comes_as_a_file_too_below_the_post_with_the_buttons(world: World) -> None:
    post = await proposed(world, "\n".join(f"x{number} = {number}" for number in range(1_000)))
    assert labels(post)[:2] == ["Approve", "Decline"]
    assert "x0 = 0" in post.content
    assert "x999 = 999" in post.content
    assert "May I run this code?" in post.content
    (file,) = own(world, world.thread)[-1].attachments
    assert file.filename == "code.py"
