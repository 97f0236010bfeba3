"""Code that waits for a yes, in Slack: its post, its buttons, the words, and who may."""

from __future__ import annotations

import uuid
from contextlib import aclosing
from pathlib import Path

import pytest

from adapters.common.approvals import ANSWERED, HOW, OVERTAKEN, TAKEN_BACK, VOID, approving
from codeact_bot.store.mongo import MongoStore
from codeact_bot.types import (
    WEB,
    Access,
    Author,
    Completion,
    Deed,
    Ending,
    Execution,
    Kind,
    Proposal,
    Query,
    RunCode,
    Status,
    Step,
    ThreadId,
)
from tests import openai_server
from tests.slack import emulator, proxy
from tests.slack.conftest import World, until
from tests.slack.emulator import BOB, BOT, CHANNEL, labels, shown
from tests.slack.test_deeds import recorded, whispered
from tests.slack.test_serve import answer_in, serving, tokens

pytestmark = pytest.mark.needs("slack")


async def proposed(world: World, code: str = "print(6 * 7)") -> tuple[str, dict]:
    """Let Ann ask, and the bot ask back; returns the question's time stamp and the post."""
    ts = await world.ask("What is 6 times 7?")
    turn = await world.core.propose(code)
    channel, _, posted = turn.reply.split(":")
    (post,) = [each for each in await world.slack.messages(channel) if each["ts"] == posted]
    return ts, post


async def accepted(world: World, count: int) -> None:
    await until(lambda: len(world.core.accepted) == count)


async def test_the_post_shows_the_code_and_its_buttons_work_after_a_restart_for_those_who_may(world: World) -> None:
    ts, post = await proposed(world)
    text = shown(post)
    for part in ("I multiply.", "print(6 * 7)", "May I run this code?", "step 1 · not run"):
        assert part in text
    assert labels(post) == ["Approve", "Decline", "Retry", "Show code", "Download notebook", "Fork from here"]
    await world.restart()
    await world.slack.press(post, "Approve", user=BOB)
    await whispered(world, "only the person who asked")
    assert len(await recorded(world, Deed.REFUSED)) == 1
    await world.slack.press(post, "Approve")
    await accepted(world, 2)
    first, said = world.core.accepted
    assert said.approval is not None
    assert (said.kind, said.thread, said.author.name, said.approval.yes) == (Kind.APPROVAL, first.thread, "ann", True)
    turn = (await world.core.store.turns(first.thread))[0]
    assert turn.outcome is not None
    assert (said.approval.turn, said.approval.digest) == (turn.id, turn.outcome.proposal)
    await world.slack.press(post, "Decline")
    await whispered(world, ANSWERED)
    _, answer = await world.answered("It is 42.")
    assert answer["thread_ts"] == ts
    assert "Approved by ann." in shown(answer)
    assert labels(answer) == ["Download notebook", "Fork from here"], "an approval cannot be asked again"
    await world.slack.press(post, "Approve")
    await until(lambda: world.proxy.calls["chat.postEphemeral"] == 3)
    assert len(world.core.accepted) == 2


async def test_people_who_were_allowed_may_say_no(world: World) -> None:
    _, post = await proposed(world)
    await world.core.store.permit(world.core.accepted[0].thread, BOB)
    await world.slack.press(post, "Decline", user=BOB)
    await accepted(world, 2)
    said = world.core.accepted[1]
    assert said.approval is not None
    assert (said.author.id, said.approval.yes, said.asker.name) == (BOB, False, "ann")


async def test_who_asked_may_stop_what_somebody_else_approved(world: World) -> None:
    _, post = await proposed(world)
    await world.core.store.permit(world.core.accepted[0].thread, BOB)
    await world.slack.press(post, "Approve", user=BOB)
    await accepted(world, 2)
    await world.core.begin()
    running = (await world.slack.posts())[-1]
    await world.slack.press(running, "Stop")
    await until(lambda: bool(world.core.stopped))


@pytest.mark.parametrize("access", [Access(admins=(f"slack:user:{BOB}",))])
async def test_the_words_are_understood_in_the_thread_once(world: World) -> None:
    ts, _ = await proposed(world)
    await world.slack.send("Approve!", user=BOB, thread=ts)
    await accepted(world, 2)
    assert world.core.accepted[1].approval is not None
    await world.slack.send("yes", thread=ts)
    await whispered(world, ANSWERED)
    await world.core.answer("It is 42.")
    await world.slack.send("yes", thread=ts)
    await accepted(world, 3)
    assert [each.kind for each in world.core.accepted] == [Kind.QUESTION, Kind.APPROVAL, Kind.QUESTION], "nothing waits for it any more"


async def test_words_of_others_are_refused(world: World) -> None:
    ts, _ = await proposed(world)
    await world.slack.send("approve", user=BOB, thread=ts)
    await whispered(world, "only the person who asked")
    assert len(world.core.accepted) == 1


async def test_who_asked_answers_for_what_comes_after_somebody_elses_yes(world: World) -> None:
    ts, post = await proposed(world)
    await world.core.store.permit(world.core.accepted[0].thread, BOB)
    await world.slack.press(post, "Approve", user=BOB)
    await accepted(world, 2)
    await world.core.propose("print(7 * 8)")
    await world.slack.send("decline", thread=ts)
    await accepted(world, 3)
    said = world.core.accepted[2]
    assert said.approval is not None
    assert (said.author.name, said.asker.name, said.approval.yes) == ("ann", "ann", False)


async def test_a_redelivered_word_is_taken_once_and_is_no_question(world: World) -> None:
    ts, _ = await proposed(world)
    world.proxy.twice = True
    await world.slack.send("approve", thread=ts)
    await accepted(world, 2)
    await world.core.answer("It is 42.")
    await world.slack.send("And 7 times 8?", thread=ts)
    await accepted(world, 3)
    assert [each.kind for each in world.core.accepted] == [Kind.QUESTION, Kind.APPROVAL, Kind.QUESTION]


async def test_a_question_in_between_makes_the_button_say_that_it_is_void(world: World) -> None:
    ts, post = await proposed(world)
    await world.slack.send("Something else?", thread=ts)
    await accepted(world, 2)
    await world.slack.press(post, "Approve")
    await whispered(world, VOID)
    assert [each.kind for each in world.core.accepted] == [Kind.QUESTION] * 2


async def as_it_is(world: World, post: dict) -> dict:
    (now,) = [each for each in await world.slack.messages(CHANNEL) if each["ts"] == post["ts"]]
    return now


SETTLED = ["Retry", "Show code", "Download notebook", "Fork from here"]


@pytest.mark.parametrize(("label", "said"), [("Approve", "Approved by ann."), ("Decline", "Declined by ann.")])
async def test_the_post_says_who_decided_and_its_buttons_are_gone(world: World, label: str, said: str) -> None:
    _, post = await proposed(world)
    assert HOW in shown(post)
    await world.slack.press(post, label)
    await accepted(world, 2)
    await world.core.answer("Done.")
    now = await as_it_is(world, post)
    assert labels(now) == SETTLED
    assert said in shown(now)
    assert HOW not in shown(now)
    for part in ("I multiply.", "print(6 * 7)", "May I run this code?"):
        assert part in shown(now)
    await world.slack.press(post, label)
    await whispered(world, ANSWERED)


async def test_the_post_says_that_something_else_was_asked(world: World) -> None:
    ts, post = await proposed(world)
    await world.slack.send("Something else?", thread=ts)
    await accepted(world, 2)
    await world.core.answer("Done.")
    now = await as_it_is(world, post)
    assert labels(now) == SETTLED
    assert OVERTAKEN in shown(now)


async def test_the_post_says_who_decided_on_the_web_once_slack_is_back(world: World) -> None:
    _, post = await proposed(world)
    (turn,) = await world.core.store.turns(world.core.accepted[0].thread)
    world.proxy.faults["chat.update"] = [proxy.BROKEN, proxy.RATE_LIMITED]
    await world.adapter.settle(turn, approving(turn, yes=False, author=Author(id="zoe", name="Zoe <!here>"), place=WEB))
    now = await as_it_is(world, post)
    assert labels(now) == SETTLED
    assert "Declined by Zoe <!here>." in shown(now)
    assert "<" not in now["text"]


async def test_a_post_that_was_deleted_is_not_posted_again(world: World) -> None:
    _, post = await proposed(world)
    await world.adapter._wire.delete(CHANNEL, post["ts"])
    before = len(await world.slack.posts())
    (turn,) = await world.core.store.turns(world.core.accepted[0].thread)
    await world.adapter.settle(turn, world.core.accepted[0])
    assert len(await world.slack.posts()) == before


async def test_buttons_of_a_further_post_go_too(world: World) -> None:
    await world.ask("What is 6 times 7?")
    thought = "\n\n".join(["word " * 20] * 14)
    code = "\n".join(f"x{number} = {number}" for number in range(1_000))
    notes = tuple("n" * 200 for _ in range(3))
    run = Execution(status=Status.OK, notes=notes)
    steps = [Step(index=number, completion=Completion(text=""), action=RunCode(thought="t" * 80, code="1"), execution=run) for number in range(9)]
    action = Proposal(thought=thought, code=code)
    steps.append(Step(index=9, completion=Completion(text=""), action=action))
    await world.core.answer("May I? " * 300, steps, ending=Ending.APPROVAL, proposal=action.digest)
    asking = [each for each in await world.slack.posts() if "Approve" in labels(each)]
    assert len(asking) == 1
    (turn,) = await world.core.store.turns(world.core.accepted[0].thread)
    assert not turn.reply.endswith(asking[0]["ts"]), "its buttons are below a further post"
    await world.slack.press(asking[0], "Approve")
    await accepted(world, 2)
    await world.core.answer("Done.")
    now = await as_it_is(world, asking[0])
    assert labels(now) == SETTLED
    assert "Approved by ann." in shown(now)


async def test_what_waits_is_taken_back_by_a_rewind(world: World) -> None:
    _, post = await proposed(world)
    await world.slack.command("rewind 1")
    await whispered(world, "The next message begins anew")
    now = await as_it_is(world, post)
    assert labels(now) == SETTLED
    assert TAKEN_BACK in shown(now)
    await world.slack.press(post, "Approve")
    await whispered(world, VOID)


@pytest.mark.needs("mongo")
@pytest.mark.timeout(300)
async def test_a_worker_as_a_process_clears_a_post_that_was_answered_on_the_web(tmp_path: Path, mongo_url: str) -> None:
    database = f"test-{uuid.uuid4().hex}"
    chosen = {"CODEACT_SANDBOX": "process", "CODEACT_PROCESS_FOR_OTHERS": "true", "CODEACT_APPROVE": "code"}
    chosen |= {"CODEACT_MONGO_URL": mongo_url, "CODEACT_DATABASE": database}
    async with emulator.running(tmp_path) as slack, proxy.running(slack.address) as between, aclosing(await MongoStore.open(mongo_url, database)) as store:
        with openai_server.running() as model:
            async with serving(tmp_path, OPENAI_BASE_URL=model, **chosen, **tokens(between.address)):
                await until(lambda: bool(between.sockets), 60)
                await slack.send(f"<@{BOT}> What is 2 to the power of 100?")
                post = await answer_in(slack, "May I run this code?")
                asked = (await store.find(Query(ending=Ending.APPROVAL)))[0]
                await store.push(approving(asked, yes=True, author=Author(id="zoe", name="Zoe"), place=WEB))

                async def settled() -> bool:
                    (now,) = [each for each in await slack.posts() if each["ts"] == post["ts"]]
                    return labels(now) == SETTLED and "Approved by Zoe." in shown(now)

                await until(settled, 60)
                await until(lambda: _answered(store, asked.incoming.thread), 60)
                assert len(await slack.posts()) == 1, "its answer is on the web alone"


async def _answered(store: MongoStore, thread: ThreadId) -> bool:
    turns = await store.turns(thread)
    return len(turns) == 2 and turns[1].outcome is not None and openai_server.RESULT in turns[1].outcome.text


async def test_long_code_comes_as_a_file_too(world: World) -> None:
    code = "\n".join(f"x{number} = {number}" for number in range(1_000))
    _, post = await proposed(world, code)
    assert "x0 = 0" in shown(post)
    assert "x999 = 999" in shown(post)
    assert "x500 = 500" not in shown(post)
    (files,) = [each["files"] for each in await world.slack.messages(CHANNEL) if each.get("files")]
    assert [file["name"] for file in files] == ["code.py"]
