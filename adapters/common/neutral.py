"""Text of models, sandboxes and people that cannot ping, pretend or escape where it is posted.

Slack needs none of this for its blocks, whose texts are never parsed (adapters/slack/markdown.py); its plain and its streamed texts are escaped here.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from adapters.render import clean

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]{0,20})[^\n]*\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<![`\\])(`{1,2})(?!`)([^`\n]+)\1(?!`)")
_BARE = r"(?<!\\)((?:\\\\)*)"
"""Before what no backslash takes the meaning from: two of them are one that is shown."""
_LINK = re.compile(r"(!?)\[([^\]\n]*)\]\(\s*<?([^)\s>]+)>?[^)\n]*\)")
_ADDRESS = re.compile(r"(?:https?://)?((?:[\w-]+\.)+[a-z]{2,})(?:[/:?#]|\b)", re.IGNORECASE)
_TICK = "\u02cb"
"""MODIFIER LETTER GRAVE ACCENT: looks like a backtick and closes no fence."""


def slack_text(text: str) -> str:
    """Escape the three characters with which Slack's plain texts begin mentions and links."""
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def slack_markdown(text: str) -> str:
    """Return whole lines of Markdown for Slack's streams, without mentions, and with links that say where they lead."""
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;")
    return _LINK.sub(lambda link: f"{link[2]} ({link[3]})" if not is_web(link[3]) or is_disguise(link[2], link[3]) else link[0], text)


def discord_code(text: str, language: str = "") -> str:
    """Put a text into a fence that it cannot leave."""
    body = clean(text).replace("```", _TICK * 3).strip("\n")
    return f"```{language}\n{body}\n```" if not body.endswith("`") else f"```{language}\n{body} \n```"


def discord_markdown(text: str) -> str:
    """Return Markdown whose code, lists and emphasis stay, and whose mentions, disguised links and small print do not work."""
    text = clean(text)
    parts, at = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_discord_prose(text[at : fence.start()]), discord_code(fence[3], fence[2]), "\n"]
        at = fence.end() + text.startswith("\n", fence.end())
    return "".join([*parts, _discord_prose(text[at:])]).rstrip("\n")


def _discord_prose(text: str) -> str:
    parts, at = [], 0
    for code in _CODE.finditer(text):
        parts += [_discord_plain(text[at : code.start()]), code[0]]
        at = code.end()
    return "".join([*parts, _discord_plain(text[at:])])


def _discord_plain(text: str) -> str:
    text = re.sub(f"{_BARE}`", r"\1\\`", text)
    text = _LINK.sub(lambda link: honest_link(link[2], link[3]), text)
    text = re.sub(r"<(?=[@#:/])", r"<\\", text)
    text = re.sub(f"{_BARE}<(?=(?:a|t|id):)", r"\1\\<", text)
    text = re.sub(f"{_BARE}@(?=everyone|here)", r"\1\\@", text)
    return re.sub(r"^(\s*(?:> ?)*)-#", r"\1\\-#", text, flags=re.MULTILINE)


def honest_link(label: str, address: str) -> str:
    """Return a Markdown link, or label and address side by side where the label pretends to be another address."""
    if not is_web(address):
        return f"{label} ({address})"
    if is_disguise(label, address):
        return f"{label.replace('https://', '').replace('http://', '')} (<{address}>)"
    return f"[{label}](<{address}>)"


def is_web(address: str) -> bool:
    """Whether an address is one that a person may be sent to."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def is_disguise(label: str, address: str) -> bool:
    """Whether a link's label names another host than the link leads to."""
    host = (urlsplit(address).hostname or "").removeprefix("www.")
    return any(named.lower().removeprefix("www.") != host for named in _ADDRESS.findall(label))
