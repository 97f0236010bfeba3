"""What models and sandboxes wrote, as HTML that does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.lexers.python import PythonLexer
from pygments.util import ClassNotFound

from adapters.common.neutral import is_disguise, is_web
from adapters.render import after_return, clean

HEAD, TAIL = 6_000, 12_000
"""Characters of an output that its step shows; a page of its own has all."""
COLOURED = 50_000
"""Characters of code that are highlighted; longer code is shown plain."""


def prose(text: str) -> Markup:
    """Write Markdown: no HTML in it counts, links lead to web addresses alone, images stay text; what its entities stand for is cleaned, too."""
    return Markup(clean(_markdown().render(clean(text))))  # noqa: S704


@lru_cache(maxsize=256)
def code_lines(code: str, language: str = "python") -> Sequence[Markup]:
    """Highlight code, line by line; each line is whole HTML by itself."""
    text = clean(code).rstrip("\n")
    if len(text) > COLOURED:
        return [escape(line) for line in text.split("\n")]
    try:
        lexer = PythonLexer(stripnl=False) if language in ("", "python", "py") else get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return [escape(line) for line in text.split("\n")]
    return [Markup(line) for line in highlight(text, lexer, HtmlFormatter(nowrap=True)).rstrip("\n").split("\n")]  # noqa: S704


def printed(text: str) -> str:
    """Return output as a screen would show it in the end: progress bars at their last state, nothing that controls."""
    return clean("\n".join(after_return(line) for line in text.replace("\r\n", "\n").split("\n"))).rstrip("\n")


def ends(text: str) -> tuple[str, int, str]:
    """Return the beginning and the end of a long text, and how many characters were left out between."""
    if len(text) <= HEAD + TAIL:
        return text, 0, ""
    return text[:HEAD], len(text) - HEAD - TAIL, text[-TAIL:]


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    made.validateLink = is_web  # type: ignore[method-assign, assignment]
    made.add_render_rule("link_open", _link_open)
    made.add_render_rule("link_close", _link_close)
    made.add_render_rule("fence", _fence)
    made.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>\n')
    made.add_render_rule("table_close", lambda *_: "</table></div>\n")
    for cell in ("th_open", "td_open"):
        made.add_render_rule(cell, _cell_open)
    return made


def _cell_open(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """Open a cell; its side is said by a class, since the pages' policy lets no style in."""
    side = str(tokens[index].attrs.pop("style", "")).rpartition(":")[2]
    if side in ("right", "center"):
        tokens[index].attrs["class"] = {"right": "number", "center": "middle"}[side]
    return renderer.renderToken(tokens, index, options, env)


def _fence(_renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    """Write a fence, highlighted, so that it can be scrolled by keyboard."""
    language = (tokens[index].info.split() or [""])[0]
    lines = "\n".join(code_lines(tokens[index].content, language or "text"))
    return f'<pre tabindex="0"><code>{lines}</code></pre>\n'


def _link_open(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[index]
    token.attrs = {"href": token.attrs.get("href", ""), "rel": "noopener noreferrer nofollow", "target": "_blank"}
    return renderer.renderToken(tokens, index, options, env)


def _link_close(_renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    """Close a link; where its text names another host than it leads to, say where that is."""
    start = next(i for i in range(index, -1, -1) if tokens[i].type == "link_open")
    label = "".join(token.content for token in tokens[start:index])
    address = str(tokens[start].attrs.get("href", ""))
    return "</a>" + (f' <span class="dim">({escape(address)})</span>' if is_disguise(label, address) else "")
