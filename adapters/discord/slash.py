"""The /codeact commands and the entry in the menu of a message."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Literal

import discord
from discord import app_commands

from adapters.common.access import REFUSED_ASK, REFUSED_STEER, Visitor, may_ask, may_steer
from adapters.common.commands import help_text, history_text, stopping
from adapters.common.counter import Counter
from adapters.common.neutral import discord_markdown
from adapters.discord.forks import fork
from adapters.discord.hearing import Ear
from adapters.discord.interactions import attend, tell
from adapters.discord.orders import order
from adapters.discord.people import author, visitor
from adapters.discord.places import Spot, Way, place_of
from adapters.discord.settling import left
from adapters.discord.uploads import download
from adapters.discord.wire import Wire
from codeact_bot.types import Access, File, Incoming, Order, Query, ThreadId

Kind = Literal["md", "json", "ipynb", "jsonl"]
FOUND = 10
"""Questions of the past that a search lists."""
NO_CONVERSATION = "There is no conversation here yet. Mention me with a question, or use /codeact ask."
ASKED = "I am on it."


class Commands:
    """What the commands do."""

    def __init__(self, wire: Wire, ear: Ear, counter: Counter, access: Access) -> None:
        """Hand questions in through the ear."""
        self._wire = wire
        self._ear = ear
        self._counter = counter
        self._access = access

    async def ask(self, interaction: discord.Interaction, question: str, file: discord.Attachment | None) -> str:
        """Take a question in; it is posted where the command was used, with a thread of its own in a channel."""
        lacking = missing(interaction)
        if lacking:
            return lacking
        assert interaction.channel_id is not None
        files, refused = await download([file] if file else [])
        inside = in_conversation(interaction)
        spot = Spot(way=Way.SAY if inside else Way.ASK, channel=interaction.channel_id, message=interaction.id)
        thread = await self._counter.begin(self._place(interaction)) if inside else ThreadId(f"{guild_place(interaction)}q{interaction.id}")
        await self._accept(interaction, thread, question, files, spot)
        return " ".join([ASKED, *refused])

    async def run_message(self, interaction: discord.Interaction, message: discord.Message) -> str:
        """Take a message that someone wrote as a question of the person who pointed at it."""
        lacking = missing(interaction)
        if lacking:
            return lacking
        files, refused = await download(message.attachments)
        text = self._ear.text_of(message)
        if not text and not files:
            return "This message has neither text nor files that I could work with."
        inside = in_conversation(interaction)
        spot = Spot(way=Way.HERE if inside else Way.FROM, channel=message.channel.id, message=message.id)
        place = self._place(interaction) if inside else place_of(interaction.guild_id, message.id)
        await self._accept(interaction, await self._counter.begin(place), text, files, spot)
        return " ".join([ASKED, *refused])

    async def _accept(self, interaction: discord.Interaction, thread: ThreadId, text: str, files: tuple[File, ...], spot: Spot) -> None:
        await self._ear.accept(
            Incoming(
                id=str(interaction.id),
                thread=thread,
                author=author(interaction.user),
                text=text,
                files=files,
                place=str(spot),
                at=interaction.created_at,
            )
        )

    async def stop(self, interaction: discord.Interaction) -> str:
        """Stop what runs here; in a channel, the person's last question in one of its threads."""
        thread = await self._counter.conversation(self._place(interaction))
        running = await (self._counter.running(thread) if thread else self._own_running(interaction))
        if running is None:
            return "Nothing is running here."
        if not may_steer(self._access, self._who(interaction), running.asker, await self._counter.permitted(running.thread)):
            return REFUSED_STEER
        await self._counter.stop(running.thread, author(interaction.user))
        return discord_markdown(stopping(running))

    async def _own_running(self, interaction: discord.Interaction) -> Incoming | None:
        query = Query(prefix=guild_place(interaction), person=str(interaction.user.id), limit=FOUND)
        asked = [turn.incoming for turn in await self._counter.desk.find(query) if turn.outcome is None]
        return next((each for each in asked if Spot.parse(each.place).channel == interaction.channel_id), None)

    async def history(self, interaction: discord.Interaction, words: str) -> str:
        """List this conversation's questions, or those with certain words."""
        thread = await self._counter.conversation(self._place(interaction))
        if thread is None:
            return NO_CONVERSATION
        desk = self._counter.desk
        turns = await desk.find(Query(thread=thread, text=words, limit=FOUND)) if words else await desk.turns(thread, last=FOUND)
        return history_text(turns, discord_markdown)

    async def export(self, interaction: discord.Interaction, kind: str) -> str:
        """Send the conversation as a file."""
        thread = await self._counter.conversation(self._place(interaction))
        if thread is None:
            return NO_CONVERSATION
        await tell(interaction, "The conversation:", [await self._counter.export(thread, kind, author(interaction.user))])
        return ""

    async def new(self, interaction: discord.Interaction) -> str:
        """Begin a new conversation at this place."""
        if not in_conversation(interaction):
            return "In a channel every question begins a conversation of its own; use this in a thread or a direct message."
        place = self._place(interaction)
        before = await self._counter.conversation(place)
        await self._counter.renew(place)
        await left(self._wire, self._counter, place, before)
        return "The next message begins a new conversation: I have forgotten the variables, files and messages of the one before."

    async def rewind(self, interaction: discord.Interaction, questions: int) -> str:
        """Go on as if the last questions of this place had not been asked."""
        place = self._place(interaction)
        thread = await self._counter.conversation(place)
        if thread is None:
            return NO_CONVERSATION
        asked = await self._counter.last(thread)
        if asked is None or not may_steer(self._access, self._who(interaction), asked.asker, await self._counter.permitted(thread)):
            return REFUSED_STEER
        said = await self._counter.rewind(place, thread, str(questions), author(interaction.user))
        await left(self._wire, self._counter, place, thread)
        return said

    async def fork(self, interaction: discord.Interaction, question: int | None) -> str:
        """Go on after one of this place's questions in a thread of its own."""
        thread = await self._counter.conversation(self._place(interaction))
        if thread is None:
            return NO_CONVERSATION
        turn = await self._counter.numbered(thread, str(question or ""))
        return turn if isinstance(turn, str) else await fork(self._wire, self._counter, turn, interaction)

    async def allow(self, interaction: discord.Interaction, person: discord.abc.User) -> str:
        """Let someone else stop and retry questions of this conversation."""
        thread = await self._counter.conversation(self._place(interaction))
        if thread is None:
            return NO_CONVERSATION
        asked = await self._counter.last(thread)
        if asked is None or not may_steer(self._access, self._who(interaction), asked.asker, await self._counter.permitted(thread)):
            return REFUSED_STEER
        await self._counter.permit(thread, str(person.id), author(interaction.user))
        return f"{person.display_name} may now stop and retry questions in this conversation."

    async def schedule(self, interaction: discord.Interaction, text: str) -> str:
        """Do what stands behind `schedule` otherwise: list, pause, resume, run, delete."""
        return await self._ear.schedules.do(text, self._order(interaction), self._who(interaction))

    async def new_schedule(self, interaction: discord.Interaction, when: str, question: str, zone: str) -> str:
        """Ask a question by the clock."""
        lacking = missing(interaction)
        if lacking:
            return lacking
        return await self._ear.schedules.make(replace(self._order(interaction), when=f"{when} {zone}".strip(), question=question))

    def _order(self, interaction: discord.Interaction) -> Order:
        assert interaction.channel_id is not None
        channel = interaction.channel if isinstance(interaction.channel, discord.abc.Messageable) else None
        return order(name=interaction.id, user=interaction.user, guild=interaction.guild_id, channel=channel, channel_id=interaction.channel_id)

    async def attend(self, interaction: discord.Interaction, work: Coroutine[Any, Any, str]) -> None:
        """Run a command, where the person may use the bot."""
        if may_ask(self._access, self._who(interaction)):
            await attend(interaction, work, self._counter)
        else:
            work.close()
            await attend(interaction, refused(), self._counter)

    async def help(self, interaction: discord.Interaction) -> str:
        """Say what the bot can do here."""
        me = interaction.client.user
        return help_text(f"@{me.display_name}" if me else "@codeact")

    def _place(self, interaction: discord.Interaction) -> str:
        assert interaction.channel_id is not None
        return place_of(interaction.guild_id, interaction.channel_id)

    def _who(self, interaction: discord.Interaction) -> Visitor:
        return visitor(interaction.user, interaction.guild_id, interaction.channel)


async def refused() -> str:
    """Let nobody in."""
    return REFUSED_ASK


def in_conversation(interaction: discord.Interaction) -> bool:
    """Whether a command was used where one conversation goes on: a thread, a direct message."""
    return interaction.guild_id is None or isinstance(interaction.channel, discord.Thread)


def guild_place(interaction: discord.Interaction) -> str:
    """Return the beginning of the names of a guild's places."""
    return place_of(interaction.guild_id, 0).removesuffix("0")


def missing(interaction: discord.Interaction) -> str:
    """Return a sentence on what the bot must be allowed here to answer; empty where it may."""
    may = interaction.app_permissions
    inside = isinstance(interaction.channel, discord.Thread)
    if interaction.guild_id is None or (may.view_channel and (may.send_messages_in_threads if inside else may.send_messages)):
        return ""
    return "I may not write here. Ask somebody who manages this server to let me view the channel and send messages, or use another channel."


def register(tree: app_commands.CommandTree[discord.Client], commands: Commands) -> None:
    """Put the commands into the tree."""
    group = app_commands.Group(name="codeact", description="Ask, and I answer by running Python")

    @group.command(description="Ask a question")
    @app_commands.describe(question="What do you want to know or have done?", file="A file to work with")
    async def ask(interaction: discord.Interaction, question: str, file: discord.Attachment | None = None) -> None:
        await commands.attend(interaction, commands.ask(interaction, question, file))

    @group.command(description="Stop what is running in this thread, or your last question in this channel")
    async def stop(interaction: discord.Interaction) -> None:
        await commands.attend(interaction, commands.stop(interaction))

    @group.command(description="What was asked in this thread")
    @app_commands.describe(words="Only questions and answers with these words")
    async def history(interaction: discord.Interaction, words: str = "") -> None:
        await commands.attend(interaction, commands.history(interaction, words))

    @group.command(description="Get this conversation as a file")
    async def export(interaction: discord.Interaction, kind: Kind = "md") -> None:
        await commands.attend(interaction, commands.export(interaction, kind))

    @group.command(description="Begin a new conversation in this thread or direct message")
    async def new(interaction: discord.Interaction) -> None:
        await commands.attend(interaction, commands.new(interaction))

    @group.command(description="Go on as if the last questions of this thread had not been asked")
    @app_commands.describe(questions="How many")
    async def rewind(interaction: discord.Interaction, questions: app_commands.Range[int, 1] = 1) -> None:
        await commands.attend(interaction, commands.rewind(interaction, questions))

    schedule = app_commands.Group(name="schedule", description="Questions that are asked by the clock", parent=group)

    @schedule.command(description="Ask a question by the clock; the answers come to this channel or thread")
    @app_commands.describe(when="every weekday at 9, every Monday at 17:30, every hour, 0 9 * * mon-fri …", zone="A time zone, such as Europe/Berlin")
    async def add(interaction: discord.Interaction, when: str, question: str, zone: str = "") -> None:
        await commands.attend(interaction, commands.new_schedule(interaction, when, question, zone))

    @schedule.command(name="list", description="The schedules of this channel")
    async def list_(interaction: discord.Interaction) -> None:
        await commands.attend(interaction, commands.schedule(interaction, "list"))

    @schedule.command(description="Pause, resume, run or delete a schedule")
    @app_commands.describe(what="What to do with it", name="Its name, as the list shows it")
    async def change(interaction: discord.Interaction, what: Literal["pause", "resume", "run", "delete"], name: str) -> None:
        await commands.attend(interaction, commands.schedule(interaction, f"{what} {name}"))

    @group.command(description="Go on after a question of this thread in a new thread; this one stays")
    @app_commands.describe(question="Its number, counted from the first; the last one where left out")
    async def fork(interaction: discord.Interaction, question: app_commands.Range[int, 1] | None = None) -> None:
        await commands.attend(interaction, commands.fork(interaction, question))

    @group.command(description="Let somebody stop and retry questions in this thread")
    async def allow(interaction: discord.Interaction, person: discord.User) -> None:
        await commands.attend(interaction, commands.allow(interaction, person))

    @group.command(name="help", description="What I can do here")
    async def help_(interaction: discord.Interaction) -> None:
        await commands.attend(interaction, commands.help(interaction))

    async def run_message(interaction: discord.Interaction, message: discord.Message) -> None:
        await commands.attend(interaction, commands.run_message(interaction, message))

    tree.add_command(group)
    tree.add_command(app_commands.ContextMenu(name="Run with codeact", callback=run_message))
