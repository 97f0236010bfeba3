"""What every sandbox withstands: code that hangs, dies, eats memory, forks, forges, and looks around."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from codeact_bot.errors import FileRefused
from codeact_bot.types import Bounds, File, Status
from tests.sandbox.conftest import Tried

IN_C = "import itertools\nsum(itertools.repeat(0))"
"""Never comes back from a loop in C, where Python cannot be interrupted."""


async def still_works(tried: Tried) -> None:
    assert (await tried.run("print('ok')\n1 + 1")).value == "2"


async def test_endless_loop_is_interrupted_and_variables_survive(tried: Tried) -> None:
    execution = await tried.run("kept = 1\nwhile True:\n    pass", seconds=1)
    assert (execution.status, execution.state_lost, execution.lost) == (Status.TIMEOUT, False, ())
    assert execution.error is not None
    assert execution.error.type == "TimeoutError"
    assert execution.error.line in (2, 3)
    assert (await tried.run("kept")).value == "1"


async def test_waiting_is_interrupted_too(tried: Tried) -> None:
    for code in ("import time\ntime.sleep(99)", "import os\nos.system('sleep 99')", "import asyncio\nawait asyncio.sleep(99)"):
        execution = await tried.run(code, seconds=0.5)
        assert (execution.status, execution.state_lost) == (Status.TIMEOUT, False), code


async def test_endless_loop_in_c_is_killed_and_what_was_lost_is_named(tried: Tried) -> None:
    await tried.run("first, second = 1, 2\nimport math")
    execution = await tried.run(IN_C, seconds=0.5)
    assert (execution.status, execution.state_lost) == (Status.TIMEOUT, True)
    assert {"first", "second"} <= set(execution.lost)
    assert "math" not in execution.lost
    assert (await tried.run("'first' in dir()")).value == "False"


async def test_swallowed_interrupts_do_not_help(tried: Tried) -> None:
    code = "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass"
    assert (await tried.run(code, seconds=0.5)).status is Status.TIMEOUT
    ignored = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    assert (await tried.run(ignored, seconds=0.5)).status is Status.TIMEOUT
    await still_works(tried)


async def test_interrupt_stops_the_block(tried: Tried) -> None:
    running = asyncio.create_task(tried.run("kept = 5\nprint('started')\nwhile True:\n    pass", seconds=100))
    while not tried.printed:
        await asyncio.sleep(0.01)
    await tried.session.interrupt()
    execution = await running
    assert (execution.status, execution.state_lost) == (Status.STOPPED, False)
    assert (await tried.run("kept")).value == "5"


async def test_cancelled_run_leaves_the_session_usable(tried: Tried) -> None:
    running = asyncio.create_task(tried.run("kept = 6\nprint('started')\nwhile True:\n    pass", seconds=100))
    while not tried.printed:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await tried.run("kept")).value == "6"


async def test_cancelled_transfers_leave_the_session_usable(tried: Tried) -> None:
    for work in (tried.session.files(), tried.session.put(File.of("f", bytes(5_000_000))), tried.session.snapshot(limit=10**7)):
        task = asyncio.ensure_future(work)
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await still_works(tried)


async def test_listener_that_fails_stops_the_block(tried: Tried) -> None:
    async def printed(text: str) -> None:
        raise ConnectionError("the chat is gone")

    with pytest.raises(ConnectionError):
        await tried.session.run("print(1)\nwhile True: pass", seconds=100, bounds=Bounds(), printed=printed)
    await still_works(tried)


async def test_process_that_exits_is_replaced(tried: Tried) -> None:
    await tried.run("kept = 1\nopen('file.txt', 'w').write('x');")
    execution = await tried.run("import os\nprint('last words')\nos._exit(7)")
    assert (execution.status, execution.state_lost, execution.output) == (Status.KILLED, True, "last words\n")
    assert "kept" in execution.lost
    assert execution.error is not None
    assert "exit code 7" in execution.error.message
    assert (await tried.run("open('file.txt').read()")).value == "'x'"


async def test_process_that_is_killed_says_by_what(tried: Tried) -> None:
    execution = await tried.run("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert execution.error is not None
    assert (execution.status, "SIGSEGV" in execution.error.message) == (Status.KILLED, True)
    await still_works(tried)


async def test_process_that_dies_between_steps_is_noticed(tried: Tried) -> None:
    code = "import os, threading\nkept = 1\nthreading.Timer(0.1, os._exit, [1]).start()"
    assert (await tried.run(code)).status is Status.OK
    for _ in range(100):
        execution = await tried.run("1")
        if execution.state_lost:
            break
        await asyncio.sleep(0.05)
    assert execution.state_lost
    assert "kept" in execution.lost


async def test_memory_exhaustion_ends_the_step_only(tried: Tried, kind: str) -> None:
    code = "hoard = []\nwhile True:\n    hoard.append(bytearray(10_000_000))"
    execution = await tried.run(code, seconds=60)
    if kind == "gvisor" and execution.status is Status.LOST:
        return
    assert execution.error is not None
    if execution.status is Status.KILLED:
        assert "out of memory: the limit is 512 MB" in execution.error.message.replace(" and was killed", "")
    else:
        assert execution.error.type == "MemoryError"
    await still_works(tried)


async def test_fork_bomb_is_contained(tried: Tried, kind: str) -> None:
    execution = await tried.run("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass", seconds=2)
    if kind == "gvisor" and execution.status is Status.LOST:
        return
    assert execution.status in (Status.TIMEOUT, Status.KILLED)
    await still_works(tried)
    assert (await tried.run("import os, subprocess\nsubprocess.run(['true']).returncode")).value == "0"


async def test_fork_does_not_go_on_as_a_second_worker(tried: Tried) -> None:
    execution = await tried.run("import os\npid = os.fork()\nprint('p' if pid else 'c')\nif pid: os.waitpid(pid, 0)")
    assert sorted(execution.output.split()) == ["c", "p"]
    assert (await tried.run("pid != 0")).value == "True"
    for number in range(20):
        assert (await tried.run(f"print({number})")).output == f"{number}\n"


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nsys.stdout.close()\nsys.stderr.close()",
        "import sys\nsys.stdout.close()",
        "import sys\nsys.stdout = sys.stderr = sys.stdin = None",
        "import os\nfor fd in (0, 1, 2): os.close(fd)",
        "import os\nos.closerange(0, 1000)",
        "import os\nn = os.open('/dev/null', os.O_WRONLY)\nos.dup2(n, 1)\nos.dup2(n, 2)",
        "import os\nos.set_blocking(1, False)",
        "import sys\nsys.settrace(lambda *a: None)\nsys.setrecursionlimit(60)",
        "import os\nos.chdir('/')",
    ],
)
async def test_sabotage_does_not_outlast_its_step(tried: Tried, code: str) -> None:
    await tried.run(code)
    execution = await tried.run("import sys\nsys.stdout.write('ok\\n');")
    assert (execution.status, execution.output) == (Status.OK, "ok\n")


async def test_forged_frames_reach_nobody(tried: Tried) -> None:
    code = """
import json, os, struct
def frame(kind, number, body=b"", **fields):
    header = json.dumps(dict(fields, type=kind, id=number)).encode()
    return struct.pack(">II", len(header), len(body)) + header + body
junk = [b"\\xff" * 64, struct.pack(">II", 2**32 - 1, 2**32 - 1), frame("done", 2, b"[]"), frame("output", 2, b"forged"), frame("call", 2, b"{}")]
junk += [frame("done", n, b'{"value": "forged"}', status="ok", seconds=0) for n in range(6)]
places = [f"/proc/{pid}/fd/{fd}" for pid in (1, os.getppid(), os.getpid()) for fd in range(3, 80)]
for place in places:
    try:
        fd = os.open(place, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        continue
    for piece in junk:
        try:
            os.write(fd, piece)
        except OSError:
            pass
for fd in range(3, 80):
    for piece in junk:
        try:
            os.write(fd, piece)
        except OSError:
            pass
'finished'
"""
    execution = await tried.run(code)
    # Code may forge the outcome of its own step, or break its own process; the session and its next step are sound.
    assert execution.status in (Status.OK, Status.KILLED, Status.ERROR)
    assert tried.session.alive
    for number in range(5):
        after = await tried.run(f"print('true {number}')")
        assert after.output.endswith(f"true {number}\n")
        assert after.value is None


async def test_supervisor_is_out_of_reach(tried: Tried, kind: str) -> None:
    if kind in ("process", "gvisor"):
        pytest.skip("without namespaces of Linux itself, code may signal the supervisor; it can then only lose its own sandbox")
    code = """
import os, signal
got = []
for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGINT):
    try:
        os.kill(os.getppid(), number)
    except OSError:
        pass
for what in ("fd", "environ", "mem"):
    try:
        got.append(os.listdir(f"/proc/{os.getppid()}/fd") if what == "fd" else open(f"/proc/{os.getppid()}/{what}", "rb").read(1))
    except OSError:
        pass
got
"""
    execution = await tried.run(code)
    assert (execution.status, execution.value) == (Status.OK, "[]")
    await still_works(tried)


async def test_links_and_pipes_are_not_followed(tried: Tried) -> None:
    code = """
import os, tempfile
outside = tempfile.gettempdir()
with open(outside + "/outside", "w") as file:
    file.write("x")
os.symlink(outside + "/outside", "link")
os.symlink(outside, "folder")
os.symlink("/dev/zero", "zero")
os.mkfifo("fifo")
"""
    execution = await tried.run(code)
    assert execution.error is None
    assert execution.files == ()
    assert await tried.session.files() == ()
    for name in ("link", "folder/outside", "fifo", "zero"):
        with pytest.raises(FileRefused):
            await tried.session.get(name, limit=1000)
    with pytest.raises(FileRefused):
        await tried.session.put(File.of("folder/evil", b"x"))
    await tried.session.put(File.of("link", b"mine"))
    assert (await tried.run("os.path.islink('link'), open('link').read()")).value == "(False, 'mine')"


async def test_thousands_of_files_are_bounded(tried: Tried) -> None:
    code = "import os\nfor n in range(3000):\n    open(f'{n:04}.txt', 'w').close()\nopen('\\n.txt', 'w').close()"
    execution = await tried.run(code, seconds=60)
    assert len(execution.files) == Bounds().files
    assert any("2,980 more" in note for note in execution.notes)
    assert len(await tried.session.files()) == 1000


async def test_there_is_no_network(tried: Tried, kind: str) -> None:
    if kind == "process":
        pytest.skip("a plain process reaches the network; its warning says so")
    code = "import socket\ns = socket.socket()\ns.settimeout(2)\ns.connect(('192.0.2.1', 80))"
    error = (await tried.run(code)).error
    assert error is not None
    assert error.type == "OSError"
    assert "unreachable" in error.message or "No route" in error.message
    assert (await tried.run("[name for _, name in socket.if_nameindex() if name != 'lo']")).value == "[]"


async def test_nothing_of_the_hosts_environment_is_inside(tried: Tried) -> None:
    os.environ["CODEACT_TEST_SECRET"] = "s3cret-on-the-host"
    try:
        found = "import glob\n'\\n'.join(open(p, errors='replace').read() for p in glob.glob('/proc/self/environ'))"
        assert "s3cret" not in ((await tried.run(found)).value or "")
        assert (await tried.run("import os\n'CODEACT_TEST_SESSION' in os.environ")).value == "False"
    finally:
        del os.environ["CODEACT_TEST_SECRET"]


async def test_code_is_not_root(tried: Tried) -> None:
    assert (await tried.run("import os\nos.getuid() != 0 and open('/proc/self/status').read().count('CapEff:\\t0000000000000000')")).value == "1"


async def test_stop_from_inside_a_snapshot_that_hangs(tried: Tried) -> None:
    code = "class Slow:\n    def __reduce__(self):\n        print('x' * 100)\n        raise ValueError\nslow, kept = Slow(), 1"
    await tried.run(code)
    snapshot = await tried.session.snapshot(limit=10**7)
    assert snapshot.dropped == ("slow",)
    assert (await tried.run("kept")).output == ""


async def test_a_snapshot_that_takes_too_long_can_be_given_up(tried: Tried) -> None:
    await tried.run("class Slow:\n    def __reduce__(self):\n        import time; time.sleep(30)\nslow = Slow()")
    taking = asyncio.create_task(tried.session.snapshot(limit=10**7))
    await asyncio.sleep(0.5)
    await tried.session.interrupt()
    with pytest.raises(FileRefused):
        await taking
    assert (await tried.run("type(slow).__name__")).value == "'Slow'"
