"""When a schedule runs, in natural words or as a cron line, read into a rhythm."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from codeact_bot.errors import ScheduleRefused
from codeact_bot.rhythm import Rhythm, trigger

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""Days of the week by cron's numbers; 7 is Sunday, too (crontab(5)). APScheduler counts from Monday, so only names reach it."""
FULL = {"sun": "Sunday", "mon": "Monday", "tue": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "fri": "Friday", "sat": "Saturday"}
NOT_UNDERSTOOD = (
    "I do not understand when that is. Write for example `every weekday at 9`, `every Monday and Thursday at 17:30 Europe/Berlin`, `every hour`, "
    "`on the 1st of every month at 8`, or a cron line such as `0 9 * * mon-fri`; and then what I am to do."
)

_AND = r"(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)"
_DAY = r"(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?s?"
_DAYS = re.compile(rf"(?:every\s+|each\s+|on\s+)?(?P<days>{_DAY}(?:{_AND}{_DAY})*)(?![a-z])")
_GROUP = re.compile(r"(?:(?:every|each|on)\s+)?(?P<group>week\s?days?|work(?:ing)?\s?days?|business\s+days?|weekends?)\b")
_DAILY = re.compile(r"(?:every\s+day|each\s+day|daily)\b")
_WEEKLY = re.compile(rf"(?:every\s+week|weekly)\s+on\s+(?P<days>{_DAY}(?:{_AND}{_DAY})*)(?![a-z])")
_ORDINAL = r"(?:\d{1,2}(?:st|nd|rd|th)?|last)(?:\s+day)?"
_MONTHLY = re.compile(
    rf"(?:(?:every\s+month|monthly)\s+on\s+(?:the\s+)?(?P<first>{_ORDINAL}(?:{_AND}(?:the\s+)?{_ORDINAL})*)"
    rf"|(?:on\s+)?the\s+(?P<second>{_ORDINAL}(?:{_AND}(?:the\s+)?{_ORDINAL})*)\s+of\s+(?:every|each|the)\s+month)\b"
)
_EVERY = re.compile(r"(?:(?:every|each)\s+(?:(?P<number>\d{1,3})\s+)?(?P<unit>minute|hour)s?|(?P<hourly>hourly))\b")
_TIME = r"(?:\d{1,2}(?:[:.]\d{2})?\s*(?:am|pm)?|noon|midday|midnight)"
_TIMES = re.compile(rf"\s*(?:,\s*)?(?:at\s+)(?P<times>{_TIME}(?:{_AND}(?:at\s+)?{_TIME})*)(?:\s*o['’]?clock)?(?!\w|:\d)")
_ZONE = re.compile(r"[\s,]*(?:in\s+)?\(?(?P<zone>[A-Za-z]+(?:/[A-Za-z0-9_+-]+)+|[A-Z]{2,5}|[A-Z][A-Za-z_]+(?=\s+time\b))(?:\s+time\b)?\)?")
_CRON = re.compile(r"`?(?P<cron>(?:[\w*/,-]+\s+){4}[\w*/,-]+)`?(?=$|[\s:,])")
_FIELD = re.compile(r"[\d*][\d*/,-]*")
"""A minute or an hour, by which a cron line is told from a sentence of five words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """What was read of the beginning of a text."""

    rhythm: Rhythm
    said: str
    """The rhythm in words, and its time zone."""
    rest: str
    """What follows: what is to be done."""


def read(text: str, zone: str) -> Phrase:
    """Read when something is to be done, by the time zone where the text names none. Raises ScheduleRefused."""
    text = text.strip()
    lower = text.lower()
    for pattern, made in _FORMS:
        match = pattern.match(lower)
        if match is not None:
            return made(text, match, zone)
    return _cron(text, zone)


def _with_times(text: str, end: int, zone: str, said: str, day: str, weekday: str) -> Phrase:
    """Finish a phrase of days with the times that follow."""
    found = _TIMES.match(text.lower(), end)
    if found is None:
        raise ScheduleRefused(f"At what time? Write for example `{said} at 9`, or `{said} at 17:30 Europe/Berlin`.")
    times = [_time(each) for each in re.split(_AND, found["times"])]
    if len({minute for _, minute in times}) > 1:
        raise ScheduleRefused("I can do several times a day only at the same minute, as in `at 9:30 and 17:30`. Make two schedules of it.")
    hours = ",".join(map(str, sorted({hour for hour, _ in times})))
    clock = " and ".join(f"{hour:02d}:{minute:02d}" for hour, minute in sorted(set(times)))
    return _phrase(text, found.end(), zone, f"{times[0][1]} {hours} {day} * {weekday}", f"{said} at {clock}")


def _time(text: str) -> tuple[int, int]:
    text = text.strip().removeprefix("at ").strip()
    if text in ("noon", "midday", "midnight"):
        return (0 if text == "midnight" else 12), 0
    parts = re.fullmatch(r"(\d{1,2})(?:[:.](\d{2}))?\s*(am|pm)?", text)
    assert parts is not None
    hour, minute, half = int(parts[1]), int(parts[2] or 0), parts[3]
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour > 23 or minute > 59 or (half and int(parts[1]) > 12):
        raise ScheduleRefused(f"There is no time {text}. Write it as 9:30 or 17:30.")
    return hour, minute


def _phrase(text: str, end: int, zone: str, cron: str, said: str) -> Phrase:
    """Finish a phrase: with the time zone that follows, and what is to be done."""
    found = _ZONE.match(text, end)
    named = _zone(found["zone"]) if found else None
    if found is not None and named is not None:
        zone, end = named, found.end()
    elif found is not None and "/" in found["zone"]:
        raise ScheduleRefused(f"I know no time zone {found['zone']}. Write it as in Europe/Berlin or America/New_York.")
    rest = text[end:].strip()
    return Phrase(rhythm=Rhythm(cron=cron, zone=zone), said=f"{said} ({zone})", rest=re.sub(r"^[:,;–—-]\s*", "", rest).strip())


@cache
def _zones() -> dict[str, str]:
    """Return the names of time zones, and of their cities, in lower case."""
    known = sorted(available_timezones())
    return {name.rpartition("/")[2].lower(): name for name in known if "/" in name} | {name.lower(): name for name in known}


def _zone(name: str) -> str | None:
    return _zones().get(name.lower().replace(" ", "_"))


def _days(text: str, match: re.Match[str], zone: str) -> Phrase:
    named = {each[:3] for each in re.split(_AND, match["days"])}
    days = [day for day in (*DAYS[1:], DAYS[0]) if day in named]
    return _with_times(text, match.end(), zone, f"every {_listed([FULL[day] for day in days])}", "*", ",".join(days))


def _group(text: str, match: re.Match[str], zone: str) -> Phrase:
    weekend = match["group"].startswith("weekend")
    said, days = ("every Saturday and Sunday", "sat,sun") if weekend else ("every weekday", "mon-fri")
    return _with_times(text, match.end(), zone, said, "*", days)


def _daily(text: str, match: re.Match[str], zone: str) -> Phrase:
    return _with_times(text, match.end(), zone, "every day", "*", "*")


def _monthly(text: str, match: re.Match[str], zone: str) -> Phrase:
    named = [re.sub(r"^the\s+|\s+day$|(?<=\d)(?:st|nd|rd|th)(?:\s+day)?$", "", each) for each in re.split(_AND, match["first"] or match["second"])]
    wrong = [each for each in named if each != "last" and not 1 <= int(each) <= 31]
    if wrong:
        raise ScheduleRefused(f"No month has a day {wrong[0]}. Name one from 1 to 31, or the last.")
    days = [*sorted({each for each in named if each != "last"}, key=int), *(["last"] if "last" in named else [])]
    said = _listed([f"the {each} day" if each == "last" else f"the {_ordinal(int(each))}" for each in days])
    return _with_times(text, match.end(), zone, f"on {said} of every month", ",".join(days), "*")


def _every(text: str, match: re.Match[str], zone: str) -> Phrase:
    number, hours = int(match["number"] or 1), match["hourly"] is not None or match["unit"] == "hour"
    whole = 24 if hours else 60
    if number == 0 or number > whole or whole % number:
        fitting = ", ".join(str(each) for each in range(1, whole) if whole % each == 0)
        raise ScheduleRefused(f"I can do that every {fitting} {'hours' if hours else 'minutes'}, so that it begins at the same times each day.")
    unit = "hour" if hours else "minute"
    said = f"every {unit}" if number == 1 else f"every {number} {unit}s"
    every = "*" if number == 1 else f"*/{number}"
    if number == whole:
        every = "0"
    return _phrase(text, match.end(), zone, f"0 {every} * * *" if hours else f"{every} * * * *", said)


def _cron(text: str, zone: str) -> Phrase:
    """Read a cron line (crontab(5)): minute, hour, day of the month, month, day of the week."""
    match = _CRON.match(text)
    if match is None:
        raise ScheduleRefused(NOT_UNDERSTOOD)
    fields = match["cron"].lower().split()
    if not all(_FIELD.fullmatch(field) for field in fields[:2]):
        raise ScheduleRefused(NOT_UNDERSTOOD)
    cron = " ".join([*fields[:4], _weekdays(fields[4])])
    try:
        trigger(cron, "UTC")
    except (ValueError, TypeError) as error:
        raise ScheduleRefused(f"`{match['cron']}` is no cron line that I understand: {error}. {NOT_UNDERSTOOD}") from None
    return _phrase(text, match.end(), zone, cron, f"`{match['cron']}`")


def _weekdays(field: str) -> str:
    """Write days of the week by name, ranges over the week's end as lists."""
    if field.startswith("*"):
        return _stepped(field)
    return ",".join(_span(part) for part in field.split(","))


def _stepped(field: str) -> str:
    step = field.partition("/")[2]
    return ",".join(DAYS[:: int(step)]) if step.isdigit() and int(step) else field


def _span(part: str) -> str:
    span, _, step = part.partition("/")
    first, _, last = span.partition("-")
    begin, end = _number(first), _number(last or first)
    days = [DAYS[number % 7] for number in range(begin, end + 1 + (7 if end < begin else 0))]
    return ",".join(days[:: int(step) if step.isdigit() and int(step) else 1])


def _number(day: str) -> int:
    if day.isdigit() and int(day) <= 7:
        return int(day)
    if day[:3] in DAYS and len(day) >= 3:
        return DAYS.index(day[:3])
    raise ScheduleRefused(f"There is no day of the week {day!r}. Write sun to sat, or 0 to 7.")


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


_FORMS: tuple[tuple[re.Pattern[str], Callable[[str, re.Match[str], str], Phrase]], ...] = (
    (_EVERY, _every),
    (_MONTHLY, _monthly),
    (_WEEKLY, _days),
    (_GROUP, _group),
    (_DAILY, _daily),
    (_DAYS, _days),
)
