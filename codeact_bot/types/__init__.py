"""All data of codeact-bot: frozen, slotted, keyword-only. Times are UTC, durations seconds, sizes bytes, money US dollars."""

from codeact_bot.types.access import Access, People, Rates, Role, Share, SignIn, Token
from codeact_bot.types.action import Action, Answer, Malformed, Proposal, RunCode
from codeact_bot.types.audit import Change, Deed, Entry, Receipt, Record, RecordPage, Span, Trail, Verdict
from codeact_bot.types.completion import Completion, Message
from codeact_bot.types.event import CodeStarted, Event, Notice, Output, Preparing, StepDone, Thought, ThoughtDropped, TurnDone
from codeact_bot.types.execution import CodeError, Execution, Status, Table
from codeact_bot.types.file import File
from codeact_bot.types.health import Activity, Backlog, Check, Work
from codeact_bot.types.ids import WEB, ThreadId, step_mark
from codeact_bot.types.lease import Lease
from codeact_bot.types.limits import Bounds, Limits, Resources
from codeact_bot.types.message import Approval, Author, Fire, Incoming, Kind
from codeact_bot.types.moment import now
from codeact_bot.types.retention import Erased, Retention
from codeact_bot.types.run import By, ErrorCount, Query, Run, RunPage, Total
from codeact_bot.types.schedule import Order, Schedule
from codeact_bot.types.snapshot import Part, Snapshot
from codeact_bot.types.thread import Fork, Listing, Thread
from codeact_bot.types.turn import Ending, Glimpse, Outcome, Step, Turn
from codeact_bot.types.usage import Price, Usage

__all__ = [
    "WEB", "Access", "Action", "Activity", "Answer", "Approval", "Author", "Backlog", "Bounds", "By", "Change", "Check",
    "CodeError", "CodeStarted", "Completion", "Deed", "Ending", "Entry", "Erased", "ErrorCount", "Event", "Execution", "File",
    "Fire", "Fork", "Glimpse", "Incoming", "Kind", "Lease", "Limits", "Listing", "Malformed", "Message", "Notice", "Order",
    "Outcome", "Output", "Part", "People", "Preparing", "Price", "Proposal", "Query", "Rates", "Receipt", "Record",
    "RecordPage", "Resources", "Retention", "Role", "Run", "RunCode", "RunPage", "Schedule", "Share", "SignIn", "Snapshot",
    "Span", "Status", "Step", "StepDone", "Table", "Thought", "ThoughtDropped", "Thread", "ThreadId", "Token", "Total", "Trail",
    "Turn", "TurnDone", "Usage", "Verdict", "Work", "now", "step_mark",
]  # fmt: skip
