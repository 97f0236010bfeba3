"""Lines from a person's keyboard: editing, history, completion, several lines in one message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from codeact_bot.types import File

STYLE = Style.from_dict({"prompt": "bold ansicyan", "placeholder": "ansibrightblack", "completion-menu": "noinherit"})
LEAVING = "Ctrl-C again or Ctrl-D leaves; your conversation is kept."


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message as it was typed, or one of a tour."""

    text: str
    files: tuple[File, ...] = ()


class Keyboard:
    """An asynchronous iterator of typed lines; ends at Ctrl-D, or at the second Ctrl-C on an empty line.

    Enter sends, Alt-Enter and Ctrl-J begin a new line, a paste may have many lines.
    """

    def __init__(self, history: Path, commands: Sequence[tuple[str, str]]) -> None:
        history.parent.mkdir(parents=True, exist_ok=True)
        self._completer = CommandCompleter(commands)
        self._session: PromptSession[str] = PromptSession(
            history=FileHistory(str(history)),
            auto_suggest=AutoSuggestFromHistory(),
            completer=self._completer,
            complete_while_typing=Condition(self._on_command),
            key_bindings=_bindings(),
            multiline=True,
            prompt_continuation="  ",
            reserve_space_for_menu=6,
            style=STYLE,
        )

    def __aiter__(self) -> AsyncIterator[Line]:
        return self

    async def __anext__(self) -> Line:
        placeholder = ""
        while True:
            try:
                text = await self._session.prompt_async(
                    FormattedText([("class:prompt", "› ")]),
                    placeholder=FormattedText([("class:placeholder", placeholder)]),
                    handle_sigint=False,
                )
            except EOFError:
                raise StopAsyncIteration from None
            except KeyboardInterrupt:
                if placeholder:
                    raise StopAsyncIteration from None
                placeholder = LEAVING
                continue
            placeholder = ""
            if text.strip():
                return Line(text=text.strip())

    def _on_command(self) -> bool:
        return self._session.default_buffer.text.startswith("/")


class CommandCompleter(Completer):
    """Completes commands, and after `/attach` and `/export FORMAT` a path."""

    def __init__(self, commands: Sequence[tuple[str, str]]) -> None:
        self._commands = commands
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield what may stand at the cursor."""
        typed = document.text_before_cursor
        word, space, rest = typed.partition(" ")
        if word.startswith("/") and not space:
            for name, meaning in self._commands:
                if name.startswith(word):
                    yield Completion(name, start_position=-len(word), display_meta=meaning)
        elif word == "/attach" or (word == "/export" and " " in rest):
            path = rest.lstrip() if word == "/attach" else rest.partition(" ")[2]
            yield from self._paths.get_completions(Document(path), complete_event)


def _bindings() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def _clear_or_leave(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return keys
