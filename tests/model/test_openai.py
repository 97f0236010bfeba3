"""The real `openai` client over real sockets, against servers that behave well and badly."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import traceback
from contextlib import suppress

import pytest

from codeact_bot.errors import ModelRefused, ModelUnavailable
from codeact_bot.model.openai import OpenAIModel, Timeouts
from codeact_bot.types import Message, Price

ASKED = [Message(role="system", content="Be brief."), Message(role="user", content="What is two and two?")]
USAGE = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25, "prompt_tokens_details": {"cached_tokens": 8}}
KEY = "sk-secret-0123456789abcdef"
QUICK = Timeouts(connect=5, silence=5, whole=20)


class Ear:
    """Hears until `enough` stands in the text."""

    def __init__(self, enough: str | None = None) -> None:
        self.enough = enough
        self.text = ""
        self.restarts = 0

    async def __call__(self, piece: str | None) -> bool:
        if piece is None:
            self.restarts, self.text = self.restarts + 1, ""
        else:
            self.text += piece
        return self.enough is not None and self.enough in self.text


@pytest.fixture
async def connect():
    """Make models that are closed when the test ends."""
    models: list[OpenAIModel] = []

    def make(url: str, **options) -> OpenAIModel:
        options = {"name": "m", "api_key": KEY, "backoff": 0.01, "timeouts": QUICK, "attempts": 3, **options}
        models.append(OpenAIModel(base_url=url, **options))
        return models[-1]

    yield make
    for model in models:
        await model.aclose()


async def answer(exchange):
    await exchange.say("Fo", "ur", ".")
    await exchange.end(usage=USAGE)


def failing(status: int, message: str, headers: dict[str, str] | None = None, **error):
    async def play(exchange):
        await exchange.reply(status, {"error": {"message": message, **error}}, **(headers or {}))

    return play


async def cut_in_the_middle(exchange):
    await exchange.say("Fiv", "e is")
    exchange.cut()


async def test_streams_and_counts(serve, connect):
    server, ear = await serve(answer), Ear()
    completion = await connect(server.url, prices={"m": Price(input=10, cached=1, output=100)}).complete(ASKED, ear)
    assert completion.text == ear.text == "Four."
    usage = completion.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.estimated) == (20, 8, 5, False)
    assert usage.cost == pytest.approx((12 * 10 + 8 * 1 + 5 * 100) / 1e6)
    assert (completion.model, completion.attempts) == ("m", 1)
    request = server.asked[0]
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["messages"] == [{"role": message.role, "content": message.content} for message in ASKED]
    assert request.body["stream_options"] == {"include_usage": True}
    assert not {"stop", "temperature", "max_tokens", "max_completion_tokens", "reasoning_effort"} & request.body.keys()


async def test_sends_the_options_it_was_given(serve, connect):
    server = await serve(answer)
    model = connect(server.url, temperature=0.2, reasoning_effort="low", max_completion_tokens=99, extra={"top_k": 3})
    await model.complete(ASKED, Ear())
    body = server.asked[0].body
    assert (body["temperature"], body["reasoning_effort"], body["max_completion_tokens"], body["top_k"]) == (0.2, "low", 99, 3)


async def test_one_connection_serves_many_completions(serve, connect):
    server = await serve(answer, answer)
    model = connect(server.url)
    await model.complete(ASKED, Ear())
    await model.complete(ASKED, Ear())
    assert server.asked[0].writer is server.asked[1].writer


async def test_closes_the_stream_at_the_end_of_the_first_action(serve, connect):
    async def talks_on(exchange):
        await exchange.say("```python\n", "1+1\n", "```\n", "and then it invents a result")
        await server.events.put("closed" if await exchange.closed() else "open")

    server, ear = await serve(talks_on), Ear("```\n")
    ear.enough = "1+1\n```\n"
    completion = await connect(server.url).complete(ASKED, ear)
    assert completion.text == "```python\n1+1\n```\n"
    assert await asyncio.wait_for(server.events.get(), 5) == "closed"
    assert completion.usage.estimated
    assert completion.usage.output_tokens == 5


async def test_a_model_that_lingers_in_silence_is_closed(serve, connect):
    async def hangs(exchange):
        await exchange.say("enough")
        await server.events.put("closed" if await exchange.closed() else "open")

    server = await serve(hangs)
    completion = await connect(server.url).complete(ASKED, Ear("enough"))
    assert completion.usage.estimated
    assert await asyncio.wait_for(server.events.get(), 5) == "closed"


async def test_a_model_that_stops_by_itself_reports_its_own_usage(serve, connect):
    async def stops(exchange):
        await exchange.say("enough", "\n")
        await exchange.end(usage=USAGE)

    server = await serve(stops)
    completion = await connect(server.url).complete(ASKED, Ear("enough"))
    assert (completion.usage.output_tokens, completion.usage.estimated) == (5, False)
    assert completion.text == "enough"


async def test_estimates_with_the_ratio_that_the_server_reported(serve, connect):
    async def talks_on(exchange):
        await exchange.say("enough", "more")
        await exchange.closed()

    server = await serve(answer, talks_on)
    model = connect(server.url)
    await model.complete(ASKED, Ear())
    assert (await model.complete(ASKED, Ear("enough"))).usage.input_tokens == 20


async def test_a_stream_cut_in_the_middle_starts_over(serve, connect):
    server, ear = await serve(cut_in_the_middle, answer), Ear()
    completion = await connect(server.url).complete(ASKED, ear)
    assert completion.text == ear.text == "Four."
    assert (ear.restarts, completion.attempts) == (1, 2)
    assert completion.usage.estimated
    assert completion.usage.input_tokens > 20


async def test_a_stream_that_ends_without_a_finish_starts_over(serve, connect):
    async def ends_early(exchange):
        await exchange.say("Fiv")
        await exchange.raw(b"data: [DONE]\n\n")
        exchange.writer.write(b"0\r\n\r\n")

    server, ear = await serve(ends_early, answer), Ear()
    assert (await connect(server.url).complete(ASKED, ear)).text == "Four."
    assert ear.restarts == 1


async def test_an_event_that_is_no_json_starts_over(serve, connect):
    async def garbles(exchange):
        await exchange.say("Fiv")
        await exchange.raw(b"data: {not json\n\n")

    server = await serve(garbles, answer)
    assert (await connect(server.url).complete(ASKED, Ear())).text == "Four."


async def test_an_error_event_in_the_stream_starts_over(serve, connect):
    async def overloaded(exchange):
        await exchange.say("Fiv")
        await exchange.event({"error": {"message": "overloaded", "code": 503}})

    server = await serve(overloaded, answer)
    assert (await connect(server.url).complete(ASKED, Ear())).text == "Four."


async def test_silence_between_chunks_is_a_broken_stream(serve, connect):
    async def hangs(exchange):
        await exchange.say("Fiv")
        await exchange.closed()

    server = await serve(hangs, answer)
    completion = await connect(server.url, timeouts=Timeouts(connect=5, silence=0.2, whole=20)).complete(ASKED, Ear())
    assert (completion.text, completion.attempts) == ("Four.", 2)


async def test_a_trickle_is_cut_off_by_the_whole_time_out(serve, connect):
    async def trickles(exchange):
        with suppress(ConnectionError):
            while not exchange.reader.at_eof():
                await exchange.say(".")
                await asyncio.sleep(0.05)

    server = await serve(trickles)
    model = connect(server.url, timeouts=Timeouts(connect=5, silence=5, whole=0.5), attempts=1)
    with pytest.raises(ModelUnavailable, match="took longer than"):
        await model.complete(ASKED, Ear())


LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    "header", [{"Retry_After": "0.05"}, {"Retry_After_Ms": "50"}, {"Retry_After": LONG_AGO}, {"Retry_After": "soon"}, {}]
)
async def test_a_rate_limit_is_waited_out(serve, connect, header):
    server = await serve(failing(429, "slow down", header), answer)
    completion = await connect(server.url).complete(ASKED, Ear())
    assert (completion.text, completion.attempts) == ("Four.", 2)


async def test_retry_after_is_honoured(serve, connect):
    server = await serve(failing(429, "slow down", {"Retry_After": "0.5"}), answer)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await connect(server.url).complete(ASKED, Ear())
    assert loop.time() - began >= 0.5


async def test_a_long_retry_after_is_not_waited_for(serve, connect):
    server = await serve(failing(429, "slow down", {"Retry_After": "3600"}))
    with pytest.raises(ModelUnavailable, match="asks to wait 3600 seconds"):
        await connect(server.url).complete(ASKED, Ear())


async def test_a_server_in_trouble_is_asked_again_and_then_given_up(serve, connect):
    server = await serve(*[failing(503, "out of order")] * 3)
    with pytest.raises(ModelUnavailable, match=r"is in trouble \(503\).*out of order"):
        await connect(server.url).complete(ASKED, Ear())
    assert len(server.asked) == 3


async def test_an_account_without_credit_is_not_asked_again(serve, connect):
    server = await serve(failing(429, "You exceeded your current quota", code="insufficient_quota"))
    with pytest.raises(ModelRefused, match="no credit left"):
        await connect(server.url).complete(ASKED, Ear())


@pytest.mark.parametrize("status", [400, 422])
async def test_a_server_that_knows_no_stream_options_is_asked_without(serve, connect, status):
    server = await serve(failing(status, "Unrecognized request argument supplied: stream_options"), answer, answer)
    model = connect(server.url)
    assert (await model.complete(ASKED, Ear())).attempts == 2
    assert (await model.complete(ASKED, Ear())).attempts == 1
    assert ["stream_options" in exchange.body for exchange in server.asked] == [True, False, False]


async def test_a_server_without_usage_figures_is_estimated(serve, connect):
    async def plain(exchange):
        await exchange.say("Four and a half")
        await exchange.end()

    usage = (await connect((await serve(plain)).url).complete(ASKED, Ear())).usage
    assert (usage.estimated, usage.output_tokens) == (True, 4)
    assert usage.input_tokens == -(-sum(len(message.content) for message in ASKED) // 4)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, {"message": "bad"}, "does not accept the key. Check OPENAI_API_KEY."),
        (403, {"message": "no access"}, "may not use the model 'm'.*no access"),
        (404, {"message": "page not found"}, "usually ends in /v1"),
        (400, {"message": "too long", "code": "context_length_exceeded"}, "too long for the model 'm'"),
        (400, {"message": "This model's maximum context length is 4096 tokens."}, "too long for the model 'm'"),
        (400, {"message": "temperature is not supported"}, "refused the request.*temperature is not supported"),
    ],
)
async def test_a_refusal_is_not_retried_and_says_what_to_do(serve, connect, status, body, sentence):
    server = await serve(failing(status, **body))
    with pytest.raises(ModelRefused, match=sentence):
        await connect(server.url).complete(ASKED, Ear())
    assert len(server.asked) == 1


async def test_a_missing_key_is_named(serve, connect):
    server = await serve(failing(401, "no key"))
    with pytest.raises(ModelRefused, match="Set OPENAI_API_KEY"):
        await connect(server.url, api_key=None).complete(ASKED, Ear())


async def test_an_unknown_model_names_those_that_there_are(serve, connect):
    refusal = failing(404, "The model `qwen3-8` does not exist", code="model_not_found")
    server = await serve(refusal, offers=("llama3", "qwen3-8b", "a", "b", "c", "d", "e"))
    with pytest.raises(ModelRefused, match=r"has no model 'qwen3-8'. It offers qwen3-8b, .* and 2 more. Name one in CODEACT_MODEL"):
        await connect(server.url, name="qwen3-8").complete(ASKED, Ear())


async def test_takes_the_first_model_on_offer_when_none_is_named(serve, connect):
    server = await serve(answer, offers=("local-one", "local-two"))
    model = connect(server.url, name="")
    assert model.name.startswith("the first of http://127.0.0.1:")
    assert (await model.complete(ASKED, Ear())).model == model.name == "local-one"
    assert server.asked[0].body["model"] == "local-one"


async def test_says_when_the_server_has_no_model(serve, connect):
    server = await serve(offers=())
    with pytest.raises(ModelRefused, match="offers no model"):
        await connect(server.url, name="").resolve()


async def test_a_server_that_is_not_there(connect):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://someone:hidden@127.0.0.1:{unused.getsockname()[1]}/v1"
    with pytest.raises(ModelUnavailable, match=r"Could not reach the model at .* Is the server running") as raised:
        await connect(url).complete(ASKED, Ear())
    assert "hidden" not in str(raised.value)


async def test_no_key_shows_in_errors_or_logs(serve, connect, caplog):
    caplog.set_level(logging.DEBUG)
    other = "sk-proj-AnotherKey0123456789"
    server = await serve(failing(500, f"no luck with {KEY} nor {other}"), failing(400, f"bad key {KEY}, Bearer {other}"))
    with pytest.raises(ModelRefused) as raised:
        await connect(server.url).complete(ASKED, Ear())
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert "[key]" in shown
    for secret in (KEY, other):
        assert secret not in shown
    assert raised.value.__cause__ is raised.value.__context__ is None
    assert KEY not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("codeact"))


async def test_reasoning_is_not_text_but_is_paid_for(serve, connect):
    async def thinks(exchange):
        await exchange.chunk({"reasoning_content": "x" * 40})
        await exchange.chunk({"reasoning": "y" * 40})
        await exchange.chunk({"role": "assistant", "content": None})
        await exchange.say("Four")
        await exchange.end()

    ear = Ear()
    completion = await connect((await serve(thinks)).url).complete(ASKED, ear)
    assert completion.text == ear.text == "Four"
    assert completion.usage.output_tokens == 21


async def test_a_refusal_in_words_is_an_answer(serve, connect):
    async def declines(exchange):
        await exchange.chunk({"refusal": "I cannot help with that."})
        await exchange.end()

    assert (await connect((await serve(declines)).url).complete(ASKED, Ear())).text == "I cannot help with that."


@pytest.mark.parametrize(("finish", "sentence"), [("length", "output budget"), ("content_filter", "content filter")])
async def test_no_text_at_all_is_explained(serve, connect, finish, sentence):
    async def says_nothing(exchange):
        await exchange.end(finish=finish, usage=USAGE)

    with pytest.raises(ModelRefused, match=sentence):
        await connect((await serve(says_nothing)).url).complete(ASKED, Ear())


async def test_text_that_hit_the_length_limit_is_returned(serve, connect):
    async def cut_short(exchange):
        await exchange.say("The answer is")
        await exchange.end(finish="length")

    assert (await connect((await serve(cut_short)).url).complete(ASKED, Ear())).text == "The answer is"


async def test_an_empty_reply_is_asked_again(serve, connect):
    async def empty(exchange):
        await exchange.end(usage=USAGE)

    completion = await connect((await serve(empty, answer)).url).complete(ASKED, Ear())
    assert (completion.text, completion.attempts) == ("Four.", 2)


async def test_cancelling_closes_the_stream(serve, connect):
    async def hangs(exchange):
        await exchange.say("wait for it")
        await server.events.put("talking")
        await server.events.put("closed" if await exchange.closed() else "open")

    server = await serve(hangs)
    task = asyncio.create_task(connect(server.url).complete(ASKED, Ear()))
    assert await asyncio.wait_for(server.events.get(), 10) == "talking"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.wait_for(server.events.get(), 5) == "closed"


async def test_errors_of_the_hearer_are_its_own(serve, connect):
    async def broken_ear(piece):
        raise RuntimeError("ear")

    server = await serve(answer)
    with pytest.raises(RuntimeError, match="ear"):
        await connect(server.url).complete(ASKED, broken_ear)
    assert len(server.asked) == 1


async def test_a_loopback_server_is_not_sought_behind_a_proxy(serve, connect, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert (await connect((await serve(answer)).url).complete(ASKED, Ear())).text == "Four."


def test_importing_and_making_a_model_loads_no_sdk():
    code = (
        "import sys; from codeact_bot.model import openai, scripted, prices; openai.OpenAIModel(api_key='k'); "
        "sys.exit(any(name.partition('.')[0] in ('openai', 'httpx', 'httpx2', 'pydantic') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def fixture(said: str, content: str, **more):
    return {"match": {"userMessage": said}, "response": {"content": content}, **more}


@pytest.mark.needs("aimock")
async def test_aimock_streams_with_usage(aimock, connect):
    url = aimock([fixture("two and two", "The answer to that is four.")], "-c", "3")
    ear = Ear()
    completion = await connect(url, name="gpt-4o-mini").complete(ASKED, ear)
    assert completion.text == ear.text == "The answer to that is four."
    assert completion.usage.input_tokens > 0
    assert completion.usage.cost > 0
    assert not completion.usage.estimated


@pytest.mark.needs("aimock")
async def test_aimock_is_cut_off_at_the_end_of_the_action(aimock, connect):
    url = aimock([fixture("two and two", "```python\n2+2\n```\n" + "and so on " * 200)], "-c", "4", "-l", "5")
    completion = await connect(url).complete(ASKED, Ear("2+2\n```\n"))
    assert completion.text.startswith("```python\n2+2\n```\n")
    assert len(completion.text) < 40


@pytest.mark.needs("aimock")
async def test_aimock_limits_the_rate(aimock, connect):
    limited = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}, "status": 429}
    url = aimock(
        [
            {"match": {"userMessage": "two and two", "sequenceIndex": 0}, "response": limited},
            {"match": {"userMessage": "two and two", "sequenceIndex": 1}, "response": {"content": "Four."}},
        ]
    )
    completion = await connect(url).complete(ASKED, Ear())
    assert (completion.text, completion.attempts) == ("Four.", 2)


@pytest.mark.needs("aimock")
@pytest.mark.parametrize("fault", ["--chaos-drop", "--chaos-disconnect", "--chaos-malformed"])
async def test_aimock_keeps_failing(aimock, connect, fault):
    url = aimock([fixture("two and two", "Four.")], fault, "1")
    with pytest.raises(ModelUnavailable):
        await connect(url).complete(ASKED, Ear())
