"""Buttons, /codeact, edits, deletions, who may, and what cannot ping: on the real discord.py."""

from __future__ import annotations

import nbformat
import pytest
from discord import app_commands

from adapters.common.commands import NAMES
from adapters.discord import invite_link
from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.types import Access, Author, CodeError, Deed, File, Kind, Status, Trail
from tests.adapters import stage
from tests.discord.conftest import World
from tests.discord.test_messages import labels, own

STEPS = [
    stage.ran(0, "1/0", "Let me divide.", status=Status.ERROR, error=CodeError(type="ZeroDivisionError", message="division by zero", traceback="Trace")),
    stage.ran(1, "print(4)", "Once more.", output="4\n"),
]


async def test_stop_stops_and_only_those_who_may(world: World) -> None:
    await world.ask()
    await world.core.begin()
    (post,) = own(world, world.thread)
    press = await world.bob.click(post, label="Stop")
    assert "only the person who asked" in press.response.content
    assert press.response.ephemeral
    assert not world.core.stopped
    await world.ada.click(post, label="Stop")
    assert world.core.stopped


async def test_the_word_stop_stops(world: World) -> None:
    await world.ask()
    await world.core.begin()
    await world.bob.send(world.thread, "stop")
    assert not world.core.stopped
    await world.ada.send(world.thread, "Stop!")
    assert world.core.stopped
    assert len(world.core.accepted) == 1


async def test_buttons_work_after_a_restart(world: World) -> None:
    await world.ask()
    await world.core.answer("It is 4.", STEPS)
    (post,) = own(world, world.thread)
    assert labels(post) == ["Retry", "Show code", "Download notebook", "Fork from here"]
    assert "✗ step 1 · ZeroDivisionError" in post.content
    await world.restart()
    shown = await world.ada.click(post, label="Show code")
    assert all(part in shown.response.content for part in ("1/0", "Trace", "print(4)"))
    assert shown.response.ephemeral
    await world.ada.click(post, label="Retry")
    first, second = world.core.accepted
    assert (second.text, second.thread) == (first.text, first.thread)
    notebook = await world.ada.click(post, label="Download notebook")
    (file,) = notebook.response.attachments
    nbformat.validate(nbformat.reads((await file.read()).decode(), 4))


async def test_an_edited_question_offers_a_re_run(world: World) -> None:
    question = await world.ask("What is 2 + 2?")
    await world.core.answer()
    await world.ada.edit(question, f"{world.mention} What is 3 + 3?")
    offer = own(world, world.thread)[-1]
    assert labels(offer) == ["Run the edited question"]
    await world.bob.click(offer, label="Run the edited question")
    assert len(world.core.accepted) == 1
    await world.ada.click(offer, label="Run the edited question")
    assert world.core.accepted[1].text == "What is 3 + 3?"


async def test_an_edited_question_that_waits_is_exchanged(world: World) -> None:
    await world.ask("first")
    await world.core.begin()
    waiting = await world.ada.send(world.thread, "second")
    await world.ada.edit(waiting, "third")
    assert [each.text for each in await world.core.store.pending(world.core.accepted[0].thread)] == ["first", "third"]


async def test_deleting_the_question_stops_it(world: World) -> None:
    question = await world.ask("first")
    await world.core.begin()
    waiting = await world.ada.send(world.thread, "second")
    await world.ada.delete(waiting)
    assert len(await world.core.store.pending(world.core.accepted[0].thread)) == 1
    await world.ada.delete(question)
    assert world.core.stopped


async def test_questions_that_are_deleted_together_stop(world: World) -> None:
    await world.ask("first")
    await world.core.begin()
    other = await world.ada.send(world.channel, f"{world.mention} other")
    runs, waits = world.core.accepted
    world.env.backend.bulk_delete_messages(world.channel.id, [int(runs.id), other.id])
    await world.env.settle()
    assert world.core.stopped == [runs.thread]
    assert not await world.core.store.pending(waits.thread)


async def test_ask_by_command_makes_a_thread(world: World) -> None:
    used = await world.ada.slash(world.channel, "codeact ask", question="What is @everyone 2 + 2?")
    assert used.response.ephemeral
    turn = await world.core.answer("It is 4.")
    (question,) = own(world, world.channel)
    assert question.content == "**Ada** asks: What is \\@everyone 2 + 2?"
    assert "It is 4." in own(world, world.thread)[0].content
    await world.bob.send(world.thread, "and more?")
    assert world.core.accepted[1].thread == turn.incoming.thread


async def test_stop_history_export_new_allow_and_help_by_command(world: World) -> None:
    await world.ask("How many sheep?")
    await world.core.begin()
    thread = world.thread
    refused = await world.bob.slash(thread, "codeact stop")
    assert "only the person who asked" in refused.response.content
    allowed = await world.ada.slash(thread, "codeact allow", person=world.bob)
    assert "Bob may now stop" in allowed.response.content
    (permitted,) = (await world.core.store.records(Trail(kind=Deed.PERMITTED))).records
    assert (permitted.entry.author and permitted.entry.author.id, permitted.entry.subject) == (str(world.ada.id), str(world.bob.id))
    await world.bob.slash(thread, "codeact stop")
    assert world.core.stopped
    helped = await world.bob.slash(thread, "codeact help")
    assert "I answer questions by writing and running Python" in helped.response.content


async def test_stop_in_a_channel_stops_ones_own_last_question_there(world: World) -> None:
    await world.ask("How many sheep?")
    await world.core.begin()
    await world.ada.slash(world.channel, "codeact ask", question="How many goats?")
    await world.core.begin()
    other = world.guild.create_text_channel("other")
    assert (await world.ada.slash(other, "codeact stop")).response.content == "Nothing is running here."
    assert (await world.bob.slash(world.channel, "codeact stop")).response.content == "Nothing is running here."
    assert not world.core.stopped
    assert (await world.ada.slash(world.channel, "codeact stop")).response.content == "Stopping “How many goats?”."
    assert world.core.stopped == [world.core.accepted[1].thread]


def test_every_command_is_registered(world: World) -> None:
    (group,) = [each for each in world.adapter.client.tree.get_commands() if isinstance(each, app_commands.Group)]
    assert {each.name for each in group.commands} == set(NAMES)


async def test_history_export_and_new(world: World) -> None:
    await world.ask("How many sheep?")
    await world.core.answer("Seven.")
    history = await world.ada.slash(world.thread, "codeact history", words="sheep")
    assert "Ada: How many sheep? → Seven." in history.response.content
    export = await world.ada.slash(world.thread, "codeact export", kind="md")
    assert b"How many sheep?" in await export.response.attachments[0].read()
    await world.ada.slash(world.thread, "codeact new")
    await world.ada.send(world.thread, "again")
    first, second = world.core.accepted
    assert second.thread.startswith(f"{first.thread}#")


async def test_a_message_can_be_run_from_its_menu(world: World) -> None:
    message = await world.bob.send(world.channel, "What is 7 * 6?")
    await world.ada.context_menu(world.channel, "Run with codeact", message)
    (incoming,) = world.core.accepted
    assert (incoming.text, incoming.author.name) == ("What is 7 * 6?", "Ada")
    await world.core.answer("42.")
    assert world.thread.id == message.id


@pytest.mark.parametrize("access", [Access(allow=("discord:user:1",))])
async def test_a_stranger_gets_one_private_sentence(world: World) -> None:
    await world.ask("let me in")
    await world.ask("please")
    used = await world.ada.slash(world.channel, "codeact help")
    assert "not on the list" in used.response.content
    assert not world.core.accepted
    assert not own(world, world.channel)
    refused = [record.entry for record in (await world.core.store.records(Trail(kind=Deed.REFUSED))).records]
    assert [entry.author for entry in refused] == [Author(id=str(world.ada.id), name="Ada")] * 2, "once in words, once for the command"
    assert all("not on the list" in entry.text and entry.subject.startswith("discord:") for entry in refused)


async def test_a_direct_message_needs_no_mention(world: World) -> None:
    question = await world.ada.send_dm("What is 2 + 2?")
    (incoming,) = world.core.accepted
    assert incoming.thread == f"discord:@me:{question.channel.id}"


async def test_bots_are_ignored(world: World) -> None:
    robot = world.guild.add_member(world.env.create_user("Robot", bot=True))
    await robot.send(world.channel, f"{world.mention} hello")
    assert not world.core.accepted


async def test_files_tables_and_pictures_arrive_with_the_answer(world: World) -> None:
    step = stage.ran(0, "plot()", images=(File.of("figure-1.png", stage.PNG),), files=(File.of("out/report.csv", b"a\n1\n"),), tables=(stage.TABLE,))
    await world.ask()
    await world.core.answer("Look:", [step])
    posts = [message for message in world.thread.history() if message.author.id == world.env.backend.bot_user.id]
    files = [file for each in posts for file in each.attachments]
    assert sorted(file.filename for file in files) == ["figure-1.png", "report.csv", "table-1.csv"]
    assert any("north    1,204   88,310.50        73.35" in each.content for each in posts)


async def test_nothing_that_model_or_sandbox_wrote_pings(world: World) -> None:
    words = f"@everyone @here <@{world.bob.id}> <@&{world.guild.id}> ``` \u202e -# note"
    await world.ask()
    await world.core.answer(words, [stage.ran(0, "x", words, output=words)])
    for message in own(world, world.thread):
        assert not message.mentions
        assert not message.mention_everyone
        assert not message.role_mentions
        assert message.flags.suppress_embeds
        assert len(message.content) <= 2000


async def test_attachments_land_in_the_question(world: World) -> None:
    await world.ask("sum it", attachments=[("sales.csv", b"a,b\n1,2\n")])
    (file,) = world.core.accepted[0].files
    assert (file.name, file.data) == ("sales.csv", b"a,b\n1,2\n")


async def test_a_file_that_is_too_large_gets_a_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.discord.uploads.LIMIT", 10)
    await world.ask("sum it", attachments=[("sales.csv", b"x" * 11), ("small.csv", b"x")])
    assert [file.name for file in world.core.accepted[0].files] == ["small.csv"]
    (said,) = own(world, world.channel)
    assert said.content == "`sales.csv` is 11 B, and I take files up to 10 B: send a smaller part of it."


def test_the_invite_link_names_the_application_and_its_permissions() -> None:
    link = invite_link("MTIzNDU2Nzg5MDEyMzQ1Njc4.x.y")
    assert link.startswith("https://discord.com/oauth2/authorize?client_id=123456789012345678&permissions=")
    assert link.endswith("scope=bot+applications.commands")
    with pytest.raises(ConfigurationInvalid, match="not a bot token"):
        invite_link("nonsense")



async def test_a_conversation_can_be_rewound(world: World) -> None:
    await world.ask("first")
    await world.core.answer("One.")
    await world.ada.send(world.thread, "second")
    await world.core.answer("Two.")
    refused = await world.bob.slash(world.thread, "codeact rewind", questions=1)
    assert "only the person who asked" in refused.response.content
    used = await world.ada.slash(world.thread, "codeact rewind", questions=1)
    assert "goes on after question 1" in used.response.content
    await world.ada.send(world.thread, "third")
    await world.core.answer("Three.")
    assert [turn.incoming.text for turn in await world.core.store.turns(world.core.accepted[2].thread)] == ["first", "third"]


async def test_fork_from_here_goes_on_in_a_thread_of_its_own_even_after_a_restart(world: World) -> None:
    await world.ask("first")
    await world.core.answer("One.")
    thread = world.thread
    (post,) = own(world, thread)
    await world.ada.send(thread, "second **bold** @everyone")
    await world.core.answer("Two.")
    await world.restart()
    used = await world.bob.click(post, label="Fork from here")
    (forked,) = [each for each in world.channel.threads if each.id != thread.id]
    assert f"<#{forked.id}>" in used.response.content
    assert used.response.ephemeral
    root = own(world, world.channel)[-1]
    assert root.id == forked.id
    assert root.content == (
        f"Bob forked this from question 1, “first” ({post.jump_url}). Write here to go on, with the variables and files of then."
    )
    await world.bob.send(forked, "third")
    await world.core.answer("Three.")
    assert own(world, forked)[-1].content.startswith("Three.")
    first, _, third = world.core.accepted
    assert [turn.incoming.text for turn in await world.core.store.turns(third.thread)] == ["first", "third"]
    assert len(await world.core.store.turns(first.thread)) == 2


async def test_a_second_press_of_fork_from_here_makes_no_second_fork(world: World) -> None:
    await world.ask("first")
    await world.core.answer("One.", STEPS)
    (post,) = own(world, world.thread)
    await world.ada.click(post, label="Fork from here")
    again = await world.ada.click(post, label="Fork from here")
    assert "just done that" in again.response.content
    assert len(world.channel.threads) == 2
    assert "with its history alone: the variables and files of then are no longer kept" in own(world, world.channel)[-1].content
    await world.core.store.undo(world.core.accepted[0].thread)
    assert "was taken back" in (await world.bob.click(post, label="Fork from here")).response.content


async def test_a_conversation_is_forked_by_command(world: World) -> None:
    await world.ask("first")
    await world.core.answer("One.")
    thread = world.thread
    await world.ada.send(thread, "second")
    await world.core.answer("Two.")
    assert "has 2" in (await world.bob.slash(thread, "codeact fork", question=3)).response.content
    await world.bob.slash(thread, "codeact fork")
    assert "from question 2, “second”" in own(world, world.channel)[-1].content
    assert "no conversation here" in (await world.bob.slash(world.channel, "codeact fork")).response.content


async def test_strangers_may_not_fork(world: World) -> None:
    await world.ask("first")
    await world.core.answer("One.")
    (post,) = own(world, world.thread)
    world.access = Access(deny=(f"discord:user:{world.bob.id}",))
    await world.restart()
    refused = await world.bob.click(post, label="Fork from here")
    assert "not on the list" in refused.response.content
    assert len(world.channel.threads) == 1


async def test_a_fork_in_a_direct_message_takes_its_place_and_one_can_go_back(world: World) -> None:
    user = world.ada.user
    for text, answer in (("first", "One."), ("second", "Two.")):
        await user.send_dm(text)
        await world.core.answer(answer)
    one, two = own(world, user.dm_channel)
    await user.click(one, label="Fork from here")
    assert own(world, user.dm_channel)[-1].content.startswith("Ada went back to question 1, “first”. The next message here goes on from there")
    await user.send_dm("third")
    await world.core.answer("Three.")
    await user.click(two, label="Fork from here")
    await user.send_dm("fourth")
    turns = await world.core.store.turns(world.core.accepted[2].thread)
    assert [turn.incoming.text for turn in turns] == ["first", "third"]
    assert [turn.incoming.text for turn in await world.core.store.turns(world.core.accepted[3].thread)] == ["first", "second"]


async def test_a_lost_state_is_told_and_rebuilt_once_after_a_warning(world: World) -> None:
    await world.ask("first")
    await world.core.answer("One.", STEPS, lost="The variables are lost.", rebuild=2)
    (post,) = own(world, world.thread)
    assert "-# ⚠ The variables are lost.\n-# Rebuild state runs 2 recorded steps again." in post.content
    await world.restart()
    assert "only the person who asked" in (await world.bob.click(post, label="Rebuild state")).response.content
    warned = (await world.ada.click(post, label="Rebuild state")).response
    assert warned.ephemeral
    assert "runs 2 recorded steps again" in warned.content
    assert "happens again" in warned.content
    assert len(world.core.accepted) == 1, "nothing runs before it is confirmed"
    await world.ada.click(warned, label="Confirm")
    asked = world.core.accepted[1]
    assert (asked.kind, asked.thread, asked.author.name) == (Kind.REBUILD, world.core.accepted[0].thread, "Ada")
    await world.core.answer("The state is rebuilt.", STEPS)
    made = own(world, world.thread)[-1]
    assert labels(made) == ["Show code", "Download notebook", "Fork from here"]
    assert "asked for already" in (await world.ada.click(warned, label="Confirm")).response.content
    assert len(world.core.accepted) == 2
