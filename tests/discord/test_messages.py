"""From a message to the answer below it."""

from __future__ import annotations

import discord
import simcord

from codeact_bot.types import CodeStarted, Output, Thought, TurnDone
from tests.discord.conftest import World


def labels(message: discord.Message) -> list[str]:
    return [button.label for row in message.components for button in row.children]


def own(world: World, channel: simcord.ChannelHandle) -> list[discord.Message]:
    return [message for message in channel.history() if message.author.id == world.env.backend.bot_user.id and message.type is discord.MessageType.default and not message.flags.ephemeral]


async def test_a_mention_becomes_a_thread_with_the_answer(world: World) -> None:
    question = await world.ask("What is 2 + 2?")
    assert [incoming.text for incoming in world.core.accepted] == ["What is 2 + 2?"]
    lease, turn, reply = await world.core.begin()
    assert world.thread.id == question.id
    assert world.thread.name == "What is 2 + 2?"
    (post,) = own(world, world.thread)
    assert "Working" in post.content
    assert labels(post) == ["Stop"]
    await reply.show(Thought(text="Let me add."))
    await reply.show(CodeStarted(index=0, code="print(2 + 2)"))
    await reply.show(Output(text="4\n"))
    done = await world.core.end(lease, turn, "It is **4**.")
    await reply.show(TurnDone(turn=done))
    (post,) = own(world, world.thread)
    assert "It is **4**." in post.content
    assert labels(post) == ["Retry", "Download notebook", "Fork from here"]


async def test_a_question_that_waits_is_shown_as_queued(world: World) -> None:
    await world.ask("first")
    lease, turn, reply = await world.core.begin()
    await world.ada.send(world.thread, "second")

    def marks() -> list[list[str]]:
        return [[str(each.emoji) for each in message.reactions] for message in world.thread.history() if message.content == "second"]

    assert marks() == [["⏳"]]
    await reply.show(TurnDone(turn=await world.core.end(lease, turn)))
    await world.core.begin()
    assert marks() == [[]]


async def test_follow_ups_need_no_mention_and_reach_the_same_conversation(world: World) -> None:
    await world.ask("first")
    await world.core.answer()
    await world.bob.send(world.thread, "second")
    first, second = world.core.accepted
    assert (second.text, second.author.name) == ("second", "Bob")
    assert second.thread == first.thread
    await world.core.answer("Done again.")
    assert "Done again." in own(world, world.thread)[-1].content
