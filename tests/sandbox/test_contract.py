"""What every sandbox owes: results as a notebook user expects them, files in and out, state that can be saved."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from codeact_bot.errors import FileRefused, SandboxLost
from codeact_bot.ports import Sandbox
from codeact_bot.types import Bounds, File, Part, Snapshot, Status
from tests.sandbox.conftest import Tried

LIMIT = 50_000_000


async def test_value_of_the_last_expression_is_shown(tried: Tried) -> None:
    assert (await tried.run("x = 20\nx + 22")).value == "42"
    assert (await tried.run("_ + 1")).value == "43"
    assert (await tried.run("x + 22;")).value is None
    assert (await tried.run("x + 22; # quiet")).value is None
    assert (await tried.run("None")).value is None
    assert (await tried.run("")).status is Status.OK


async def test_variables_survive_from_step_to_step(tried: Tried) -> None:
    await tried.run("def double(n):\n    return n * 2\nnumbers = [1, 2]")
    assert (await tried.run("[double(n) for n in numbers]")).value == "[2, 4]"


async def test_output_keeps_its_order_across_streams_and_processes(tried: Tried) -> None:
    code = """
import os, subprocess, sys
print("one", end=" ")
print("two", file=sys.stderr, end=" ")
os.system("echo three")
subprocess.run([sys.executable, "-c", "print('four')"])
os.write(2, b"five\\n")
print("six")
"""
    assert await tried.output(code) == "one two three\nfour\nfive\nsix\n"


async def test_output_of_c_code_is_captured(tried: Tried) -> None:
    assert "from C" in await tried.output("import ctypes\nctypes.CDLL(None).puts(b'from C');")


async def test_output_before_an_error_is_kept(tried: Tried) -> None:
    execution = await tried.run("print('before')\n1 / 0")
    assert execution.status is Status.ERROR
    assert execution.output == "before\n"
    assert execution.error is not None
    assert (execution.error.type, execution.error.message, execution.error.line) == ("ZeroDivisionError", "division by zero", 2)


async def test_output_is_shown_while_the_code_runs(tried: Tried) -> None:
    heard = asyncio.Event()

    async def printed(text: str) -> None:
        heard.set()

    running = asyncio.create_task(
        tried.session.run("print('now')\nimport time\ntime.sleep(60)", seconds=100, bounds=Bounds(), printed=printed)
    )
    await asyncio.wait_for(heard.wait(), 30)
    assert not running.done()
    await tried.session.interrupt()
    assert (await running).status is Status.STOPPED


async def test_traceback_has_the_users_frames_with_their_lines(tried: Tried) -> None:
    await tried.run("import json\ndef read(text):\n    return json.loads(text)")
    error = (await tried.run("ready = True\nread('{')")).error
    assert error is not None
    assert error.type == "json.decoder.JSONDecodeError"
    assert error.line == 2
    assert "read('{')" in error.traceback
    assert "return json.loads(text)" in error.traceback
    assert "library frames" in error.traceback
    assert "codeact_worker" not in error.traceback


async def test_syntax_error_points_at_line_and_column(tried: Tried) -> None:
    error = (await tried.run("a = 1\nb = = 2")).error
    assert error is not None
    assert (error.type, error.line) == ("SyntaxError", 2)
    assert "    b = = 2\n        ^\n" in error.traceback


async def test_chained_errors_are_short(tried: Tried) -> None:
    error = (await tried.run("try:\n    {}['k']\nexcept KeyError as exc:\n    raise ValueError('no k') from exc")).error
    assert error is not None
    assert error.line == 4
    assert "Caused by KeyError: 'k' (line 2)" in error.traceback


async def test_endless_recursion_is_an_error_like_any_other(tried: Tried) -> None:
    error = (await tried.run("def f():\n    return f()\nf()")).error
    assert error is not None
    assert error.type == "RecursionError"
    assert len(error.traceback.splitlines()) < 80
    assert (await tried.run("1")).value == "1"


async def test_exit_ends_the_step_only(tried: Tried) -> None:
    await tried.run("kept = 1")
    assert (await tried.run("import sys\nsys.exit()\nprint('not reached')")).status is Status.OK
    failed = await tried.run("sys.exit('no data')")
    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("SystemExit", "no data")
    assert (await tried.run("kept")).value == "1"


async def test_await_works_at_the_top_level_and_the_loop_persists(tried: Tried) -> None:
    await tried.run("import asyncio\ntask = asyncio.ensure_future(asyncio.sleep(0, 'slept'))\nawait asyncio.sleep(0)")
    assert (await tried.run("await task")).value == "'slept'"
    assert (await tried.run("async def main():\n    return 5\nasyncio.run(main())")).value == "5"


async def test_input_is_refused_clearly(tried: Tried) -> None:
    error = (await tried.run("input('name? ')")).error
    assert error is not None
    assert "nobody can type" in error.message
    assert await tried.output("import sys\nprint(repr(sys.stdin.read()))") == "''\n"


async def test_unicode_and_binary_junk_come_through(tried: Tried) -> None:
    assert await tried.output("print('żółć 🐍 \\u202e')") == "żółć 🐍 \u202e\n"
    assert await tried.output("import sys;sys.stdout.buffer.write(b'\\xff\\x00\\xfe ok\\n');") == "\ufffd\x00\ufffd ok\n"
    assert await tried.output("print('\\ud800')") == "?\n"
    split = "import os, time\nfor byte in '🐍'.encode():\n    os.write(1, bytes([byte]))\n    time.sleep(0.01)"
    assert await tried.output(split) == "🐍"


async def test_a_hundred_megabytes_of_output_are_bounded_and_counted(tried: Tried) -> None:
    code = "print('first')\nfor _ in range(100):\n    print('x' * 999_999)\nprint('last')"
    bounds = Bounds(output=10_000)
    execution = await tried.run(code, seconds=100, bounds=bounds)
    assert execution.status is Status.OK
    assert execution.output.startswith("first\nxxx")
    assert execution.output.endswith("xxx\nlast\n")
    total = len("first\nlast\n") + 100 * 1_000_000
    assert execution.cut == total - bounds.output
    assert f"{execution.cut:,} bytes" in execution.output
    assert len(execution.output) < bounds.output + 100
    assert "".join(tried.printed) == execution.output


async def test_cut_never_halves_a_character(tried: Tried) -> None:
    execution = await tried.run("print('🐍' * 1000)", bounds=Bounds(output=1001))
    assert "\ufffd" not in execution.output
    shown = execution.output.count("🐍") * 4 + 1
    assert shown + execution.cut == 4001


async def test_not_one_output_is_lost(tried: Tried) -> None:
    for number in range(300):
        assert (await tried.run(f"print({number})")).output == f"{number}\n"


async def test_output_of_a_thread_left_running_goes_to_the_next_step(tried: Tried) -> None:
    code = "import threading\ngo = threading.Event()\ndef late():\n    go.wait()\n    print('late')\nt = threading.Thread(target=late)\nt.start()"
    assert (await tried.run(code)).status is Status.OK
    assert await tried.output("go.set()\nt.join()\nprint('next')") == "late\nnext\n"


async def test_background_process_outlives_its_step(tried: Tried) -> None:
    code = "import subprocess\np = subprocess.Popen(['sh', '-c', 'read line; echo got $line'], stdin=subprocess.PIPE)"
    assert (await tried.run(code)).status is Status.OK
    assert await tried.output("p.communicate(b'this\\n');") == "got this\n"


async def test_value_is_bounded(tried: Tried) -> None:
    execution = await tried.run("'x' * 1_000_000", bounds=Bounds(value=1000))
    assert execution.value is not None
    assert len(execution.value) == 1000
    assert any("cut" in note for note in execution.notes)


async def test_failing_repr_is_an_error(tried: Tried) -> None:
    execution = await tried.run("class Bad:\n    def __repr__(self):\n        raise ValueError('no repr')\nBad()")
    assert execution.error is not None
    assert execution.error.message == "no repr"


async def test_display_shows_values(tried: Tried) -> None:
    assert await tried.output("display(1, 'two')") == "1\n'two'\n"


async def test_warnings_are_one_line(tried: Tried) -> None:
    assert await tried.output("import warnings\nwarnings.warn('careful')") == "UserWarning: careful (<step 1>, line 2)\n"


async def test_tables_become_rows(tried: Tried) -> None:
    await tried.need("pandas")
    execution = await tried.run("import pandas as pd\npd.DataFrame({'n': range(1000), 'half': [i / 2 for i in range(1000)]})", seconds=60)
    assert execution.value is not None
    assert "1000 rows x 2 columns" in execution.value
    (table,) = execution.tables
    assert (table.columns, table.rows[1], len(table.rows)) == (("n", "half"), ("1", "0.5"), Bounds().table_rows)
    assert (table.total_rows, table.total_columns) == (1000, 2)
    (table,) = (await tried.run("display(pd.Series([1, 2], index=['a', 'b'], name='v'))")).tables
    assert (table.columns, table.rows) == (("", "v"), (("a", "1"), ("b", "2")))


async def test_figures_become_images(tried: Tried) -> None:
    await tried.need("matplotlib")
    code = "import matplotlib.pyplot as plt\nfor n in range(3):\n    plt.figure()\n    plt.plot([1, n])\nplt.show()"
    execution = await tried.run(code, seconds=60, bounds=Bounds(images=2))
    assert execution.status is Status.OK
    assert "non-interactive" not in execution.output
    assert [image.name for image in execution.images] == ["figure-1.png", "figure-2.png"]
    assert all(image.data is not None and image.data.startswith(b"\x89PNG") for image in execution.images)
    assert any("2 images" in note for note in execution.notes)
    assert (await tried.run("plt.get_fignums()")).value == "[]"


async def test_new_and_changed_files_come_back(tried: Tried) -> None:
    await tried.session.put(File.of("given.csv", b"a,b\n1,2\n"))
    execution = await tried.run("import os\nos.mkdir('out')\nopen('out/made.txt', 'w').write(open('given.csv').read());")
    assert [(file.name, file.data) for file in execution.files] == [("out/made.txt", b"a,b\n1,2\n")]
    assert (await tried.run("1")).files == ()
    changed = await tried.run("open('given.csv', 'a').write('3,4\\n');")
    assert [(file.name, file.size) for file in changed.files] == [("given.csv", 12)]
    assert await tried.session.files() == (("given.csv", 12), ("out/made.txt", 8))


async def test_files_left_out_are_named(tried: Tried) -> None:
    code = "open('large.bin', 'wb').write(bytes(5000))\nfor n in range(5):\n    open(f'{n}.txt', 'w').write('x')"
    execution = await tried.run(code, bounds=Bounds(files=3, file_bytes=1000))
    assert len(execution.files) == 2
    assert any("large.bin" in note for note in execution.notes)
    assert any("3 more" in note for note in execution.notes)


async def test_files_go_in_and_out_whole(tried: Tried) -> None:
    data = os.urandom(3_000_001)
    await tried.session.put(File.of("deep/er/data.bin", data))
    await tried.session.put(File.of("empty", b""))
    assert (await tried.session.get("deep/er/data.bin", limit=LIMIT)).data == data
    assert (await tried.session.get("empty", limit=0)).data == b""
    with pytest.raises(FileRefused, match="too large"):
        await tried.session.get("deep/er/data.bin", limit=3_000_000)
    with pytest.raises(FileRefused, match="No such file"):
        await tried.session.get("missing", limit=LIMIT)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../up", "a/../../b", "a//b", "./a", "a\0b", "a\nb", "x" * 256, "a\\b", "\u202etxt"])
async def test_hostile_names_are_refused(tried: Tried, name: str) -> None:
    with pytest.raises(FileRefused):
        await tried.session.put(File.of(name, b"x"))
    with pytest.raises(FileRefused):
        await tried.session.get(name, limit=LIMIT)


async def test_state_moves_to_another_session(tried: Tried, sandbox: Sandbox) -> None:
    code = """
import math as m
from collections import Counter
class Point:
    def __init__(self, x): self.x = x
def area(r): return m.pi * r ** 2
double = lambda n: 2 * n
shared = [1]
a, b = {"list": shared}, {"list": shared}
p = Point(3)
count = Counter("aab")
stream = (n for n in range(3))
open("notes.txt", "w").write("kept");
"""
    assert (await tried.run(code)).status is Status.OK
    snapshot = await tried.session.snapshot(limit=LIMIT)
    assert {"a", "b", "p", "area", "Point", "double", "count"} <= set(snapshot.names)
    assert snapshot.dropped == ("stream",)
    other = Tried(await sandbox.start("test"))
    try:
        assert await other.session.restore(snapshot) == ()
        seen = "(a['list'] is b['list'], p.x, round(area(1), 2), double(4), count['a'], open('notes.txt').read())"
        assert (await other.run(seen)).value == "(True, 3, 3.14, 8, 2, 'kept')"
        again = await other.session.snapshot(limit=LIMIT)
        assert {"area", "Point", "double"} <= set(again.names)
    finally:
        await other.session.aclose()
    assert (await tried.run("p.x")).value == "3"


async def test_closures_keep_their_variables_and_see_the_live_namespace(tried: Tried, sandbox: Sandbox) -> None:
    code = """
def adder(start):
    total = [start]
    def add(x):
        global calls
        calls += 1
        total.append(x)
        return sum(total)
    return add, lambda: total
calls = 0
add, seen = adder(5)
squares = {"of": lambda x: x * x}
from collections import namedtuple
Pair = namedtuple("Pair", "a b")
pair = Pair(1, 2)
def scaled(x, factor=calls + 2): return x * factor
add(1);
"""
    assert (await tried.run(code)).status is Status.OK
    library = (await tried.run("import importlib.util; importlib.util.find_spec('cloudpickle') is not None")).value == "True"
    snapshot = await tried.session.snapshot(limit=LIMIT)
    other = Tried(await sandbox.start("test"))
    try:
        failed = await other.session.restore(snapshot)
        assert (await other.run("calls, scaled(5)")).value == "(1, 10)"
        if library:
            assert (snapshot.dropped, failed) == ((), ())
            assert (await other.run("add(2), seen(), calls, squares['of'](5), pair, Pair(3, 4).b")).value == "(8, [5, 1, 2], 2, 25, Pair(a=1, b=2), 4)"
        else:
            assert {"add", "seen", "squares", "Pair", "pair"} <= {*snapshot.dropped, *failed}
    finally:
        await other.session.aclose()


async def test_code_of_another_version_is_not_brought_back_and_all_else_is(tried: Tried, sandbox: Sandbox) -> None:
    """A code object of another version may crash the interpreter when it is called."""
    writer = b'"writer": "python 3'
    code = "def double(x): return 2 * x\ndef times(k): return lambda x: k * x\ntriple = times(3)\nboxed = {'f': triple, 'n': 1}\nx = {'y': [1, 2]}\nz = x['y'];"
    assert (await tried.run(code)).status is Status.OK
    snapshot = await tried.session.snapshot(limit=LIMIT)
    core = snapshot.parts[-1].data or b""
    assert core.count(writer) == 1
    foreign = core.replace(writer, b'"writer": "python 4')
    other = Tried(await sandbox.start("test"))
    try:
        failed = await other.session.restore(replace(snapshot, parts=(*snapshot.parts[:-1], Part.of(foreign))))
        assert {"triple", "boxed"} <= {*snapshot.dropped, *failed}
        assert (await other.run("z.append(3)\ndouble(2), x, 'triple' in dir()")).value == "(4, {'y': [1, 2, 3]}, False)"
    finally:
        await other.session.aclose()


async def test_what_did_not_change_is_not_sent_again(tried: Tried, sandbox: Sandbox) -> None:
    code = """
import os
open("large.bin", "wb").write(os.urandom(200_000))
try:
    import numpy
    large = numpy.arange(50_000.0)
    view = large[10:]
except ImportError:
    large = None
x = 1;
"""
    assert (await tried.run(code)).status is Status.OK
    first = await tried.session.snapshot(limit=LIMIT)
    arrays = int((await tried.run("x = 2\nlarge is not None")).value == "True")
    second = await tried.session.snapshot(limit=LIMIT, known=[part.digest for part in first.parts])
    assert [part.data is None for part in second.parts] == [True] * (len(second.parts) - 1) + [False]
    assert len(second.parts) >= 2 + arrays
    bytes_of = {part.digest: part.data for part in first.parts}
    whole = replace(second, parts=tuple(replace(part, data=part.data or bytes_of[part.digest]) for part in second.parts))
    other = Tried(await sandbox.start("test"))
    try:
        assert await other.session.restore(whole) == ()
        assert (await other.run("x, os.path.getsize('large.bin')")).value == "(2, 200000)"
        if arrays:
            assert (await other.run("large[0] = 7.0\nfloat(large.sum() - view.sum()), len(view)")).value == "(52.0, 49990)"
    finally:
        await other.session.aclose()


WAITS = """
import os, time
class Waits:
    def __reduce__(self):
        while not os.path.exists("go"):
            time.sleep(0.01)
        return int, (7,)
waits, x = Waits(), 1
open("f.txt", "w").write("old");
"""
"""A state whose saving comes to an end only when later code wants it."""


async def saving(tried: Tried) -> asyncio.Task[Snapshot]:
    """Begin to take a snapshot; returns when code may go on."""
    assert (await tried.run(WAITS)).status is Status.OK
    taken = asyncio.Event()
    taking = asyncio.create_task(tried.session.snapshot(limit=LIMIT, taken=taken.set))
    await taken.wait()
    return taking


async def test_code_goes_on_while_its_state_is_saved_and_the_snapshot_does_not_see_it(tried: Tried, sandbox: Sandbox) -> None:
    taking = await saving(tried)
    assert (await tried.run("x = 2\nopen('f.txt', 'w').write('new')\nx")).value == "2"
    assert not taking.done()
    await tried.run("open('go', 'w').close()")
    other = Tried(await sandbox.start("test"))
    try:
        assert await other.session.restore(await taking) == ()
        assert (await other.run("x, waits, open('f.txt').read(), os.path.exists('go')")).value == "(1, 7, 'old', False)"
    finally:
        await other.session.aclose()
    again = await tried.session.snapshot(limit=LIMIT)
    assert "x" in again.names


@pytest.mark.parametrize("end", ["import os\nos._exit(3)", "import os\nos.kill(saver(), 9)"])
async def test_a_saving_that_is_killed_is_reported_and_the_session_goes_on(tried: Tried, end: str) -> None:
    find = """
def saver():
    for name in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{name}/stat") as stat:
            if stat.read().rpartition(")")[2].split()[1] == str(os.getppid()) and int(name) != os.getpid():
                return int(name)
"""
    taking = await saving(tried)
    await tried.run(find + end)
    with pytest.raises(FileRefused, match="too long or too much memory"):
        await taking
    await tried.run("waits = None\nkept = 8")
    assert "kept" in (await tried.session.snapshot(limit=LIMIT)).names


async def test_snapshot_larger_than_its_limit_is_refused(tried: Tried) -> None:
    await tried.run("import os\nblob = os.urandom(2_000_000)")
    with pytest.raises(FileRefused, match="larger"):
        await tried.session.snapshot(limit=1_000_000)
    assert (await tried.run("len(blob)")).value == "2000000"


async def test_closed_session_is_lost_and_says_so(tried: Tried) -> None:
    assert tried.session.alive
    await tried.session.aclose()
    await tried.session.aclose()
    assert not tried.session.alive
    execution = await tried.run("1")
    assert (execution.status, execution.state_lost) == (Status.LOST, True)
    with pytest.raises(SandboxLost):
        await tried.session.put(File.of("a", b""))
