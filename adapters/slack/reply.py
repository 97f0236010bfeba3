"""The posts that show one turn."""

from __future__ import annotations

import logging
from dataclasses import replace

from adapters.common.elsewhere import quoted
from adapters.common.neutral import slack_text
from adapters.common.reply import PacedReply, Refused
from adapters.common.summary import asked_by_clock
from adapters.render import one_line
from adapters.slack.budget import Budget
from adapters.slack.markdown import blocks
from adapters.slack.pages import Post, final, marked, note, packed, working
from adapters.slack.places import Reference, Spot, Way, place_of
from adapters.slack.stream import Stream
from adapters.slack.wire import Wire
from codeact_bot.errors import FileRefused
from codeact_bot.ports import Desk
from codeact_bot.types import File, Turn

log = logging.getLogger(__name__)

EVERY = 1.2
"""Seconds between edits of a post; Slack wants about one a second in a channel."""
QUESTION = -1
"""Number of the post that repeats a question asked by a command."""


class SlackReply(PacedReply):
    """Shows a turn in a post that is edited as it goes on, and in further ones at its end."""

    def __init__(self, wire: Wire, desk: Desk, budget: Budget, turn: Turn, beside: str = "") -> None:
        """Show `turn`; go on with the post that `turn.reply` names, where it names one.

        Where it was asked elsewhere, its question is posted, too, in the thread of the post that `beside` names.
        """
        super().__init__(turn, EVERY)
        self._wire = wire
        self._desk = desk
        self._budget = budget
        self._spot = Spot.parse(turn.incoming.place)
        if turn.incoming.via:
            where = Reference.parse(beside) or self._spot
            self._spot = Spot(way=Way.SAY, channel=where.channel, thread=where.thread)
        self._first = Reference.parse(turn.reply)
        self._thread = self._first.thread if self._first else self._spot.thread
        self._root = bool(self._first) or self._spot.way is Way.HERE
        self._stream: Stream | None = None
        self._posts: list[Post] = []
        self._sent = 0

    @property
    def reference(self) -> str:
        """The channel, the thread and the time stamp of the first post; empty until there is one."""
        return str(self._first) if self._first else ""

    async def recall(self) -> None:
        """Find the posts that are there already."""
        turn = self.story.turn
        if not self._root:
            found = self._numbered(await self._wire.own_posts(self._spot.channel, self._spot.thread, _stamp(turn)))
            if QUESTION in found:
                await self._enter(found[QUESTION])
            elif self._spot.way is Way.ASK:
                return
        posts = await self._wire.own_posts(self._spot.channel, self._thread, self._first.message if self._first else _stamp(turn))
        found = self._numbered(posts)
        if self._first is None and self._stream is not None:
            typed = [str(post["ts"]) for post in posts if not post.get("blocks") and not post.get("files")]
            found |= {0: typed[0]} if typed else {}
            self._stream = None
        if self._first is None and 0 in found:
            self._first = Reference(channel=self._spot.channel, thread=self._thread, message=found[0])
        if self._first is not None and self.story.done:
            self._sent = max([1, *(number + 1 for number in found if number > 0)])
            if self._sent < len(self._planned()) and self._planned()[self._sent].files:
                names = {file.name.rpartition("/")[2] for file in self._planned()[self._sent].files}
                self._sent += any(names <= {file.get("name") for file in post.get("files", ())} for post in posts if not post.get("blocks"))

    def _numbered(self, posts: list[dict[str, object]]) -> dict[int, str]:
        """Return the time stamps of this turn's posts by their number."""
        found = {}
        for post in posts:
            ids = [str(block.get("block_id", "")) for block in post.get("blocks") or ()]  # type: ignore[attr-defined]
            mine = [each.rpartition(":") for each in ids if each.startswith(f"codeact:{self.story.turn.id}:")]
            found.update({int(number): str(post["ts"]) for _, _, number in mine[:1]})
        return found

    async def progress(self) -> None:
        """Bring the first post up to date: as a stream where the workspace has them, by edits otherwise."""
        if self._thread and not self._root:
            await self._ask()
        native = self._thread and "streams" not in self._wire.lacking and not self.story.turn.incoming.via
        if native and (self._first is None or self._stream is not None) and await self._streamed():
            return
        post = working(self.story)
        if self._first is not None and str(post.blocks) == self.shown:
            return
        if self._first is not None:
            await self._budget.take(self.pace.hurry)
            if self.pace.hurry.is_set():
                return
            post = working(self.story)
        await self._put_first(post)

    async def _streamed(self) -> bool:
        """Show what is new as a stream; False where that is not possible, or no longer."""
        incoming = self.story.turn.incoming
        if self._stream is None:
            self._stream = Stream(self._wire, self._spot.channel, self._thread, incoming.thread.split(":")[1], incoming.author.id)
            await self._wire.session(self._spot.channel, self._thread, incoming.author.id, "processing")
        try:
            await self._stream.show(self.story)
        except Refused as error:
            log.info("Turn %s goes on without a stream: %s", self.story.turn.id, error)
            self._stream = None
            return False
        self._first = Reference(channel=self._spot.channel, thread=self._thread, message=self._stream.message)
        return True

    async def deliver(self) -> None:
        """Post whatever of the ended turn is not there yet."""
        if self._stream is not None:
            await self._stream.stop()
            self._stream = None
        posts = self._planned()
        if str(posts[0].blocks) != self.shown:
            self._budget.spend()
            await self._put_first(posts[0])
        self._sent = max(self._sent, 1)
        while self._sent < len(posts):
            await self._send(posts[self._sent], self._sent)
            self._sent += 1
        if not self.story.turn.incoming.via:
            await self._wire.session(self._spot.channel, self._thread, self.story.turn.incoming.author.id, "active")

    async def _put_first(self, post: Post) -> None:
        if not self._root:
            await self._ask()
        shown = marked(post, self.story.turn.id, 0)
        edited = self._first is not None and await self._wire.update(self._first.channel, self._first.message, shown)
        if not edited and (self._first is None or self.story.done):
            sent = await self._wire.post(self._spot.channel, self._thread, shown)
            self._first = Reference(channel=self._spot.channel, thread=self._thread, message=sent)
        self.shown = str(post.blocks)

    async def _ask(self) -> None:
        """Post the question that came by a command or a schedule, or from elsewhere, so that everybody sees what is answered."""
        incoming = self.story.turn.incoming
        files = ", with " + ", ".join(file.name for file in incoming.files) if incoming.files else ""
        asks = f"{incoming.author.name} asks{' in ' + incoming.via if incoming.via else ''}"
        head = note(f"{asked_by_clock(incoming) or asks}{files}:")
        body = packed(blocks(quoted(incoming.text) if incoming.via else incoming.text))[0]
        post = Post(blocks=(head, *body), text=slack_text(one_line(incoming.text, 200)))
        await self._enter(await self._wire.post(self._spot.channel, self._spot.thread, marked(post, self.story.turn.id, QUESTION)))

    async def _enter(self, root: str) -> None:
        """Go on below the posted question."""
        self._root = True
        if self._spot.way is Way.ASK:
            self._thread = root
            team = self.story.turn.incoming.thread.split(":")[1]
            await self._desk.move(place_of(team, self._spot.channel, root), self.story.turn.incoming.thread)

    async def _send(self, post: Post, index: int) -> None:
        if not post.files:
            await self._wire.post(self._spot.channel, self._thread, marked(post, self.story.turn.id, index))
            return
        files: list[File] = []
        missing: list[str] = []
        for file in post.files:
            try:
                files.append(replace(file, data=await self._desk.load(file)))
            except FileRefused as error:
                missing.append(f"{file.name}: {error}")
        missing += [f"{file.name} is empty, and Slack takes no empty files." for file in files if not file.data]
        if missing:
            said = Post(blocks=tuple(note(slack_text(sentence)) for sentence in missing), text="A file is missing.")
            await self._wire.post(self._spot.channel, self._thread, marked(said, self.story.turn.id, index))
        if any(file.data for file in files):
            head = Post(blocks=(note(f"Files for “{one_line(self.story.turn.incoming.text, 60)}”"),), text="")
            given = [file for file in files if file.data]
            await self._wire.upload(self._spot.channel, self._thread, given, marked(head, self.story.turn.id, index).blocks)

    def _planned(self) -> list[Post]:
        if not self._posts:
            self._posts = final(self.story.turn)
        return self._posts


def _stamp(turn: Turn) -> str:
    """Return the time stamp of the turn's beginning, a little early: the clocks are not the same."""
    return f"{turn.started.timestamp() - 60:.6f}"
