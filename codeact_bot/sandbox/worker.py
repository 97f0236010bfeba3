"""The worker inside a sandbox: a supervisor that speaks the protocol, and a child forked from it that runs the code.

Standard library only, Python 3.9 syntax: it is started with `python -c` in any image. Nothing outside trusts what it sends.
"""

import ast
import builtins
import errno
import fcntl
import io
import json
import linecache
import os
import resource
import select
import signal
import stat
import struct
import sys
import time
import types

PREFIX = struct.Struct(">II")
MAX_HEADER = 1024 * 1024
MAX_BODY = 16 * 1024 * 1024
CHUNK = 256 * 1024
QUEUE = 1024 * 1024
"""Bytes that may wait for the host before the code's output is no longer read."""
GRACE = 1.0
"""Seconds between the first KeyboardInterrupt and SIGKILL."""
AGAIN = 0.25
"""Seconds between one KeyboardInterrupt and the next."""
ENTRIES = 5000
"""Entries of the working folder that are looked at."""
LISTED = 1000
NAMES = 200
CELL = 200
"""Characters of one table cell."""
TABLE_TEXT = 4 * 1024 * 1024
"""Characters of all tables of one step."""
MESSAGE = 8 * 1024
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36


class Libc:
    """The few C functions that Python does not offer, called without the weight of ctypes."""

    def __init__(self):
        try:
            import _ctypes

            self.call = _ctypes.call_cdeclfunction
            library = _ctypes.dlopen(None, 2)
            self.addresses = {name: _ctypes.dlsym(library, name) for name in ("prctl", "fflush")}
        except (ImportError, OSError, AttributeError):
            self.addresses = {}

    def prctl(self, option, value):
        if "prctl" in self.addresses:
            self.call(self.addresses["prctl"], (option, value, 0, 0, 0))

    def flush(self):
        if "fflush" in self.addresses:
            self.call(self.addresses["fflush"], (None,))


libc = Libc()


def encode(kind, number, body=b"", **fields):
    header = json.dumps(dict(fields, type=kind, id=number), separators=(",", ":")).encode()
    return PREFIX.pack(len(header), len(body)) + header + body


def decode(buffer):
    """Take the first whole frame off `buffer`; None where there is none. Raises ValueError."""
    if len(buffer) < PREFIX.size:
        return None
    head, body = PREFIX.unpack_from(buffer)
    if head > MAX_HEADER or body > MAX_BODY:
        raise ValueError("a frame is too large")
    end = PREFIX.size + head + body
    if len(buffer) < end:
        return None
    header = json.loads(bytes(buffer[PREFIX.size : PREFIX.size + head]).decode())
    if not isinstance(header, dict) or not isinstance(header.get("type"), str) or type(header.get("id")) is not int:
        raise ValueError("a frame has no type or id")
    content = bytes(buffer[PREFIX.size + head : end])
    del buffer[:end]
    return header, content


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Folder:
    """The working folder; no path leads out of it, and no link is followed."""

    def __init__(self):
        self.root = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self.seen = {}

    def parent(self, name, make):
        """Open the folder that holds `name`; returns its descriptor and the last part."""
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise OSError(errno.EINVAL, "the name is not allowed")
        here = os.dup(self.root)
        for part in parts[:-1]:
            try:
                if make:
                    try:
                        os.mkdir(part, 0o755, dir_fd=here)
                    except FileExistsError:
                        pass
                there = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            finally:
                os.close(here)
            here = there
        return here, parts[-1]

    def read(self, name, offset, size):
        here, last = self.parent(name, False)
        try:
            fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
        finally:
            os.close(here)
        try:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            return os.pread(fd, size, offset), about.st_size
        finally:
            os.close(fd)

    def write(self, name, data, offset, last):
        """Write a piece beside the file, and put it in the file's place after the last piece."""
        here, base = self.parent(name, True)
        piece = ".codeact-put"
        try:
            if offset == 0:
                try:
                    os.unlink(piece, dir_fd=here)
                except FileNotFoundError:
                    pass
            flags = os.O_WRONLY | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if offset == 0 else 0)
            fd = os.open(piece, flags, 0o644, dir_fd=here)
            try:
                os.lseek(fd, offset, os.SEEK_SET)
                write_all(fd, data)
            finally:
                os.close(fd)
            if last:
                os.replace(piece, base, src_dir_fd=here, dst_dir_fd=here)
                about = os.stat(base, dir_fd=here, follow_symlinks=False)
                self.seen[name] = (about.st_size, about.st_mtime_ns, about.st_ino)
        finally:
            os.close(here)

    def scan(self):
        """Return the regular files as {name: (size, mtime, inode)}; hidden ones and __pycache__ do not count."""
        found, waiting, looked = {}, [""], 0
        while waiting and looked < ENTRIES:
            prefix = waiting.pop()
            try:
                fd = os.open(prefix or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self.root)
            except OSError:
                continue
            try:
                with os.scandir(fd) as entries:
                    for entry in entries:
                        looked += 1
                        if looked > ENTRIES:
                            break
                        if entry.name.startswith(".") or entry.name == "__pycache__":
                            continue
                        try:
                            about = entry.stat(follow_symlinks=False)
                        except OSError:
                            continue
                        name = prefix + entry.name
                        if stat.S_ISDIR(about.st_mode):
                            waiting.append(name + "/")
                        elif stat.S_ISREG(about.st_mode) and readable(name):
                            found[name] = (about.st_size, about.st_mtime_ns, about.st_ino)
            finally:
                os.close(fd)
        return found

    def changed(self):
        """Return names and sizes of the files made or changed since the last call, in order of their change."""
        found = self.scan()
        news = [(about[1], name, about[0]) for name, about in found.items() if self.seen.get(name) != about]
        self.seen = found
        return [(name, size) for _, name, size in sorted(news)]


def readable(name):
    try:
        return len(name.encode()) <= 4096 and name.isprintable()
    except UnicodeEncodeError:
        return False


class Job:
    """What the child is busy with."""

    def __init__(self, kind, number, seconds, output=0, files=0):
        self.kind, self.number, self.files = kind, number, files
        self.began = time.monotonic()
        self.deadline = self.began + seconds
        self.reason = ""
        self.again = self.kill_at = 0.0
        self.head = output // 2
        self.keep = output - output // 2
        self.tail, self.cut = bytearray(), 0

    def due(self):
        return min(self.again, self.kill_at) if self.reason else self.deadline


class Supervisor:
    """Owns descriptors 0 and 1; everything else in the sandbox may be hostile."""

    def __init__(self):
        self.requests, self.answers = bytearray(), bytearray()
        self.out, self.orders = bytearray(), bytearray()
        self.config, self.job, self.child, self.death = {}, None, 0, None
        self.steps, self.names, self.loss = 0, [], None
        self.printed, self.print_to = os.pipe()
        try:
            fcntl.fcntl(self.print_to, 1031, 1024 * 1024)  # F_SETPIPE_SZ
        except OSError:
            pass
        self.woken, wake = os.pipe()
        for fd in (0, 1, self.printed, self.woken, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self.leave())
        libc.prctl(PR_SET_DUMPABLE, 0)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.folder = Folder()
        self.kills = oom_kills()

    def leave(self):
        self.destroy()
        os._exit(0)

    def serve(self):
        while True:
            poll = select.poll()
            poll.register(self.woken, select.POLLIN)
            full = len(self.out) > QUEUE
            if len(self.orders) <= MAX_BODY:
                poll.register(0, select.POLLIN)
            if self.out:
                poll.register(1, select.POLLOUT)
            if self.child and not full:
                poll.register(self.heard, select.POLLIN)
                if self.job is not None and self.job.kind != "snapshot":
                    poll.register(self.printed, select.POLLIN)
            if self.orders:
                poll.register(self.order, select.POLLOUT)
            wait = None if self.job is None else max(0, int((self.job.due() - time.monotonic()) * 1000) + 1)
            ready = {fd for fd, _ in poll.poll(wait)}
            self.attend(ready)

    def attend(self, ready):
        if 1 in ready:
            self.push_out()
        if self.printed in ready:
            self.take_output(CHUNK)
        if self.child and self.heard in ready:
            self.take_answers()
        if self.woken in ready:
            os.read(self.woken, 4096)
            self.bury()
        if 0 in ready:
            self.take_requests()
        if self.orders:
            self.push_orders()
        if self.job is not None:
            self.watch_clock()
        if self.out:
            self.push_out()

    def send(self, kind, number, body=b"", **fields):
        self.out += encode(kind, number, body, **fields)

    def push_out(self):
        try:
            with memoryview(self.out) as view:
                sent = os.write(1, view)
            del self.out[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.leave()

    def push_orders(self):
        try:
            with memoryview(self.orders) as view:
                sent = os.write(self.order, view[:CHUNK])
            del self.orders[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.orders.clear()

    def take_requests(self):
        try:
            data = os.read(0, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self.leave()
        self.requests += data
        while True:
            frame = decode(self.requests)
            if frame is None:
                return
            self.obey(*frame)

    def obey(self, header, body):
        kind, number = header["type"], header["id"]
        if kind == "interrupt":
            if self.job is not None and self.job.number == header["target"] and not self.job.reason:
                self.interrupt("stopped")
        elif kind == "start":
            self.begin(header, number)
        elif kind == "ping":
            self.send("ping", number)
        elif kind in ("put", "get", "list"):
            self.file_request(kind, number, header, body)
        elif kind == "return":
            self.orders += encode("return", number, body)
        elif kind in ("run", "snapshot", "restore"):
            self.employ(kind, number, header, body)

    def begin(self, header, number):
        self.config = header
        self.spawn()
        self.send("start", number, python=sys.version.split()[0], pid=os.getpid())

    def file_request(self, kind, number, header, body):
        try:
            if kind == "put":
                self.folder.write(header["name"], body, header["offset"], header["last"])
                self.send("put", number)
            elif kind == "get":
                data, size = self.folder.read(header["name"], header["offset"], header["size"])
                self.send("get", number, data, size=size)
            else:
                listed = sorted((name, about[0]) for name, about in self.folder.scan().items())[:LISTED]
                self.send("list", number, json.dumps(listed).encode())
        except (OSError, ValueError) as exc:
            self.send(kind, number, error=getattr(exc, "strerror", None) or str(exc))

    def employ(self, kind, number, header, body):
        """Hand work to the child; a restore comes in pieces, and only its last one is answered."""
        if self.job is None:
            self.job = Job(kind, number, header["seconds"], header.get("output", 0), header.get("files", 0))
            if kind == "run":
                self.steps += 1
        fields = {key: value for key, value in header.items() if key not in ("type", "id")}
        self.orders += encode(kind, number, body, step=self.steps, **fields)

    def take_output(self, limit):
        """Forward the head of the output as it comes, keep its tail, count what falls between."""
        try:
            data = os.read(self.printed, limit)
        except BlockingIOError:
            return 0
        if self.job is not None:
            self.keep_output(self.job, data)
        return len(data)

    def keep_output(self, job, data):
        if job.head:
            head, data = data[: job.head], data[job.head :]
            job.head -= len(head)
            self.send("output", job.number, head)
        job.tail += data
        if len(job.tail) > 2 * job.keep + CHUNK:
            self.trim(job)

    def trim(self, job):
        extra = len(job.tail) - job.keep
        if extra > 0:
            job.cut += extra
            del job.tail[:extra]

    def drain(self):
        """Take what the code had written by now, and no more: a thread may print for ever."""
        waiting = bytearray(4)
        fcntl.ioctl(self.printed, 21531, waiting)  # FIONREAD
        left = struct.unpack("i", waiting)[0]
        while left > 0:
            taken = self.take_output(min(left, CHUNK))
            if not taken:
                return
            left -= taken

    def take_answers(self):
        """Read what the child says; it is checked like anything hostile, and junk ends the child."""
        try:
            data = os.read(self.heard, CHUNK)
        except BlockingIOError:
            return
        if not data or not self.hear(data):
            self.destroy()
            self.bury()

    def hear(self, data):
        self.answers += data
        try:
            frame = decode(self.answers)
            while frame is not None:
                self.relay(*frame)
                frame = decode(self.answers)
        except (ValueError, RecursionError):
            return False
        return True

    def relay(self, header, body):
        job, kind = self.job, header["type"]
        if job is None or header["id"] != job.number:
            return
        if kind in ("image", "call"):
            self.send(kind, job.number, body)
        elif kind == "snapshot" == job.kind and header.get("more") is True:
            self.send("snapshot", job.number, body, more=True)
        elif kind == "done":
            names = header.get("names")
            if isinstance(names, list) and all(isinstance(name, str) for name in names):
                self.names = [name[:100] for name in names[:NAMES]]
            self.finish(body, "error" if header.get("failed") else "ok")

    def finish(self, body, status, message="", lost=False):
        """Answer the job, everything it printed first."""
        job = self.job
        if job.kind != "run":
            self.send("done", job.number, body, status=job.reason or status, message=message)
            self.job = None
            return
        self.drain()
        self.trim(job)
        if job.tail:
            self.send("output", job.number, bytes(job.tail), cut=job.cut)
        changed = self.folder.changed()
        gone = self.names if lost else self.loss
        self.send(
            "done",
            job.number,
            body,
            status=job.reason or status,
            message=message,
            state_lost=gone is not None,
            lost=gone or [],
            files=changed[: job.files],
            more_files=max(0, len(changed) - job.files),
            seconds=time.monotonic() - job.began,
        )
        if lost:
            self.names = []
        self.loss, self.job = None, None

    def watch_clock(self):
        job, now = self.job, time.monotonic()
        if not job.reason:
            if now >= job.deadline:
                self.interrupt("timeout")
        elif now >= job.kill_at:
            self.destroy()
            self.bury()
        elif now >= job.again:
            job.again = now + AGAIN
            # From the second time on, what the code waits for is interrupted too, as by Ctrl-C in a terminal.
            self.signal(-self.child)

    def interrupt(self, reason):
        now = time.monotonic()
        self.job.reason, self.job.again, self.job.kill_at = reason, now + AGAIN, now + GRACE
        self.signal(self.child)

    def signal(self, target):
        try:
            os.kill(target, signal.SIGINT)
        except OSError:
            pass

    def reap(self):
        """Collect the dead; returns whether any process is left."""
        while True:
            try:
                pid, code = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.child:
                self.death = code

    def destroy(self):
        """Kill every process but this one; orphans have this one as their parent, so that none can hide."""
        until = time.monotonic() + 2
        while self.reap() and time.monotonic() < until:
            kill_all(self.config.get("alone") is True)
            time.sleep(0.001)

    def bury(self):
        """Where the child has died, say how, and start another."""
        self.reap()
        if self.death is None:
            return
        self.destroy()
        try:
            data = os.read(self.heard, CHUNK)
            while data and self.hear(data):
                data = os.read(self.heard, CHUNK)
        except BlockingIOError:
            pass
        message = self.obituary(self.death)
        if self.job is not None:
            self.finish(b"", "killed", message, lost=True)
        else:
            self.loss, self.names = self.names, []
        os.close(self.order)
        os.close(self.heard)
        self.orders.clear()
        self.answers.clear()
        self.spawn()

    def spawn(self):
        """Fork a child; where no process can be had for two seconds, give up."""
        order, self.order = os.pipe()
        self.heard, say = os.pipe()
        self.death = None
        until = time.monotonic() + 2
        while True:
            try:
                self.child = os.fork()
                break
            except OSError:
                if time.monotonic() > until:
                    self.leave()
                time.sleep(0.01)
        if self.child == 0:
            become_child(self.config, order, say, self.print_to)
        os.close(order)
        os.close(say)
        os.set_blocking(self.order, False)
        os.set_blocking(self.heard, False)

    def obituary(self, how):
        before, self.kills = self.kills, oom_kills()
        if os.WIFEXITED(how):
            return "The code ended the Python process with exit code %d." % os.WEXITSTATUS(how)
        number = os.WTERMSIG(how)
        if number == signal.SIGKILL and self.kills > before:
            limit = self.config.get("memory", 0)
            return "The code ran out of memory%s and was killed." % (": the limit is " + size_text(limit) if limit else "")
        return "The Python process was killed by signal %s." % signal_name(number)


def kill_all(alone):
    """Send SIGKILL to all processes here: in a process namespace or under a user id of its own to all there are, else to all descendants."""
    if alone or os.getpid() == 1:
        try:
            os.kill(-1, signal.SIGKILL)
        except OSError:
            pass
        return
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as about:
                    parents[int(name)] = int(about.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    family = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        if not more:
            break
        family |= more
    for pid in family - {os.getpid()}:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


def oom_kills():
    """Return how often the kernel killed something here for want of memory."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path) as lines:
                for line in lines:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except (OSError, ValueError):
            continue
    return 0


def size_text(size):
    unit = 0
    while size >= 1024 and unit < 4:
        size, unit = size / 1024, unit + 1
    return "%.3g %s" % (size, ("bytes", "KB", "MB", "GB", "TB")[unit])


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def become_child(config, order, say, print_to):
    """Turn a fresh fork into the process that runs code; nothing of the protocol's descriptors stays open in it."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setpgid(0, 0)
    libc.prctl(PR_SET_DUMPABLE, 1)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("900")
    except OSError:
        pass
    # High numbers, out of reach of code that closes low ones.
    order, say, print_to = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, base) for fd, base in ((order, 60), (say, 61), (print_to, 62)))
    os.closerange(0, 60)
    os.closerange(max(order, say, print_to) + 1, 256)
    for name, value in config.get("rlimits", {}).items():
        resource.setrlimit(getattr(resource, "RLIMIT_" + name.upper()), (value, value))
    status = 1
    try:
        Child(order, say, print_to).serve()
        status = 0
    finally:
        os._exit(status)


class Child:
    """Runs blocks of code one after another in one namespace, as a notebook does."""

    def __init__(self, order, say, print_to):
        self.order, self.say, self.print_to = order, say, print_to
        self.armed, self.loop, self.told = False, None, []
        self.shown, self.definitions = Shown({}), {}
        main = types.ModuleType("__main__")
        main.__builtins__ = builtins
        sys.modules["__main__"] = main
        self.space = main.__dict__
        self.stdin = self.stdout = self.stderr = None
        sys.path.insert(0, "")
        sys.argv = [""]
        os.environ.setdefault("MPLBACKEND", "Agg")
        builtins.input = no_input
        builtins.display = self.display

    def serve(self):
        orders = bytearray()
        self.open_streams()
        while True:
            frame = decode(orders)
            if frame is None:
                data = os.read(self.order, CHUNK)
                if not data:
                    return
                orders += data
                continue
            header, body = frame
            if header["type"] == "run":
                self.run(header, body.decode("utf-8", "replace"))

    def answer(self, number, failed=False, body=b""):
        names = [name for name, value in self.space.items() if not name.startswith("_") and not isinstance(value, types.ModuleType)]
        fields = {} if names == self.told else {"names": names[:NAMES]}
        self.told = names
        write_all(self.say, encode("done", number, body, failed=failed, **fields))

    def interrupted(self, number, frame):
        if self.armed:
            raise KeyboardInterrupt

    def open_streams(self):
        """Put descriptors and streams right again, whatever the code before did to them."""
        null = os.open(os.devnull, os.O_RDONLY)
        if null:
            os.dup2(null, 0)
            os.close(null)
        os.dup2(self.print_to, 1)
        os.dup2(self.print_to, 2)
        os.set_blocking(1, True)
        signal.signal(signal.SIGINT, self.interrupted)
        if self.stdout is None or self.stdout.closed or self.stderr.closed:
            self.stdin = open(0, closefd=False)
            self.stdout, self.stderr = (
                io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), "utf-8", errors, newline="\n", write_through=True)
                for fd, errors in ((1, "replace"), (2, "backslashreplace"))
            )
        sys.stdin = sys.__stdin__ = self.stdin
        sys.stdout = sys.__stdout__ = self.stdout
        sys.stderr = sys.__stderr__ = self.stderr

    def run(self, header, code):
        self.open_streams()
        name = "<step %d>" % header["step"]
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        self.shown = shown = Shown(header)
        error = None
        try:
            try:
                self.armed = True
                self.execute(code, name, shown)
            finally:
                self.armed = False
        except BaseException as exc:
            self.armed = False
            error = describe(exc, name)
        flush()
        for picture in shown.images:
            write_all(self.say, encode("image", header["id"], picture))
        self.answer(header["id"], error is not None, shown.result(error))

    def execute(self, code, name, shown):
        tree = compile(code, name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not silent(tree.body[-1], code):
            last = ast.Expression(tree.body.pop().value)
        try:
            self.evaluate(tree, name, "exec")
            if last is not None:
                value = self.evaluate(last, name, "eval")
                if value is not None:
                    self.space["_"] = value
                    shown.value(value)
        finally:
            shown.figures()

    def evaluate(self, tree, name, mode):
        compiled = compile(tree, name, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        value = eval(compiled, self.space)
        return self.wait_for(value) if compiled.co_flags & 0x80 else value  # CO_COROUTINE

    def wait_for(self, coroutine):
        import asyncio

        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        task = self.loop.create_task(coroutine)
        try:
            return self.loop.run_until_complete(task)
        except BaseException:
            task.cancel()
            self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            raise

    def display(self, *values):
        """Show values as the last expression of a cell would be shown."""
        for value in values:
            text = self.shown.rich(value)
            if text is not None:
                print(text)


def no_input(prompt=""):
    raise EOFError("nobody can type an answer here; put the value into the code instead of calling input()")


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass
    libc.flush()


def silent(node, code):
    """Whether a semicolon follows the last expression."""
    line = code.splitlines()[node.end_lineno - 1].encode()
    return line[node.end_col_offset :].lstrip().startswith(b";")


class Shown:
    """What one step shows besides its output."""

    def __init__(self, header):
        self.limits = header
        self.images, self.tables, self.notes = [], [], []
        self.text, self.room = None, TABLE_TEXT

    def result(self, error):
        fields = {"value": self.text, "error": error, "tables": self.tables, "notes": self.notes}
        return json.dumps(fields).encode()

    def value(self, value):
        text = self.rich(value)
        if text is None:
            return
        limit = self.limits["value"]
        data = text.encode("utf-8", "replace")
        if len(data) > limit:
            self.notes.append("The value's text was cut: the first %s of %s are kept." % (size_text(limit), size_text(len(data))))
            data = data[:limit]
        self.text = data.decode("utf-8", "ignore")

    def rich(self, value):
        """Keep a table or an image that `value` is; returns its text, None where an image says it all."""
        kind = type(value)
        if kind.__name__ in ("DataFrame", "Series") and (kind.__module__ or "").split(".")[0] in ("pandas", "polars"):
            self.table(value)
            return str(value)
        draw = getattr(kind, "_repr_png_", None)
        if draw is not None:
            picture = draw(value)
            if isinstance(picture, bytes):
                self.image(picture)
                return None
        return repr(value)

    def image(self, picture):
        if len(self.images) >= self.limits["images"]:
            self.note("Only the first %d images are kept." % self.limits["images"])
        elif len(picture) > self.limits["image_bytes"]:
            self.note("An image of %s was left out: the limit is %s." % (size_text(len(picture)), size_text(self.limits["image_bytes"])))
        else:
            self.images.append(picture)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def table(self, value):
        if len(self.tables) >= self.limits["tables"]:
            self.note("Only the first %d tables are kept." % self.limits["tables"])
            return
        frame = value.to_frame() if type(value).__name__ == "Series" else value
        rows, columns = frame.shape
        cut = frame.iloc if hasattr(frame, "iloc") else frame
        cut = cut[: self.limits["table_rows"], : self.limits["table_columns"]]
        index = [cell(part) for part in cut.index] if hasattr(cut, "index") else None
        lines = [[cell(part) for part in row] for row in (cut.itertuples(index=False, name=None) if index is not None else cut.rows())]
        heads = [cell(part) for part in cut.columns]
        if index is not None and not is_plain(cut.index):
            heads = [cell(cut.index.name or "")] + heads
            lines = [[label] + line for label, line in zip(index, lines)]
            columns += 1
        size = sum(len(part) for line in lines for part in line)
        if size > self.room:
            self.note("A table was left out: the step's tables are too large together.")
            return
        self.room -= size
        self.tables.append({"columns": heads, "rows": lines, "total_rows": rows, "total_columns": columns})

    def figures(self):
        """Turn matplotlib's open figures into PNGs and close them."""
        plot = sys.modules.get("matplotlib.pyplot")
        if plot is None:
            return
        try:
            for number in plot.get_fignums()[: self.limits["images"] + 1]:
                buffer = io.BytesIO()
                plot.figure(number).savefig(buffer, format="png", dpi=120, bbox_inches="tight")
                self.image(buffer.getvalue())
        finally:
            plot.close("all")


def is_plain(index):
    """Whether a pandas index is only the row's number."""
    return type(index).__name__ == "RangeIndex" and index.name is None


def cell(value):
    if isinstance(value, float):
        text = "%.6g" % value
    else:
        text = str(value)
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


def describe(exc, name):
    """Return an exception as {type, message, traceback, line}; None for a clean exit."""
    if isinstance(exc, SystemExit) and exc.code in (None, 0):
        return None
    kind = type(exc)
    title = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "." + kind.__qualname__
    message = message_of(exc)
    line, lines = None, []
    if isinstance(exc, SyntaxError) and exc.filename == name:
        line = exc.lineno
        lines = syntax_lines(exc)
        message = str(exc.msg)
    elif not isinstance(exc, SystemExit):
        line, lines = frames(exc.__traceback__, name)
    text = "\n".join(lines + [title + (": " + message if message else "")])
    for note in getattr(exc, "__notes__", ())[:5]:
        text += "\n" + str(note)[:CELL]
    text += causes(exc, name)
    return {"type": title[:CELL], "message": message, "traceback": text[-2 * MESSAGE :], "line": line}


def message_of(exc):
    try:
        text = str(exc)
    except BaseException:
        text = "(its message could not be made)"
    return text if len(text) <= MESSAGE else text[:MESSAGE] + "…"


def syntax_lines(exc):
    lines = ["  %s, line %s" % (exc.filename, exc.lineno)]
    source = (exc.text or "").rstrip("\n")
    if source.strip():
        shift = len(source) - len(source.lstrip())
        lines.append("    " + source.strip())
        if exc.offset:
            lines.append("    " + " " * max(0, exc.offset - 1 - shift) + "^")
    return lines


def frames(trace, name):
    """Return the line of `name` nearest to the error, and the user's frames; those of libraries are folded."""
    line, lines, folded = None, [], []
    here = os.getcwd() + os.sep
    while trace is not None:
        code, number = trace.tb_frame.f_code, trace.tb_lineno
        file = code.co_filename
        if file.startswith("<step ") or (file.startswith(here) and "site-packages" not in file):
            lines += fold(folded)
            folded = []
            if file == name:
                line = number
            where = "" if code.co_name == "<module>" else ", in " + code.co_name
            lines.append("  %s, line %d%s" % (file, number, where))
            source = linecache.getline(file, number).strip()
            if source:
                lines.append("    " + source)
        elif lines or folded or not own(file):
            folded.append("%s:%d in %s" % ("/".join(file.split("/")[-2:]), number, code.co_name))
        trace = trace.tb_next
    lines += fold(folded)
    if len(lines) > 60:
        lines = lines[:20] + ["  … %d lines of the traceback left out …" % (len(lines) - 50)] + lines[-30:]
    return line, lines


def own(file):
    return file == describe.__code__.co_filename


def fold(folded):
    if not folded:
        return []
    count = "1 library frame" if len(folded) == 1 else "%d library frames" % len(folded)
    return ["  (%s, the last: %s)" % (count, folded[-1])]


def causes(exc, name):
    text, seen = "", {id(exc)}
    for _ in range(3):
        cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
        if cause is None or id(cause) in seen:
            break
        word = "Caused by" if exc.__cause__ is not None else "While handling"
        line = frames(cause.__traceback__, name)[0]
        text += "\n%s %s: %s%s" % (word, type(cause).__name__, message_of(cause)[:CELL], "" if line is None else " (line %d)" % line)
        seen.add(id(cause))
        exc = cause
    return text


if __name__ == "__main__":
    Supervisor().serve()
