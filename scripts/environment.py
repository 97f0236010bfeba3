"""Makes .venv from a lock file, once per change of the file: `python3 scripts/environment.py run|dev`.

Runs under whatever Python the machine has, so that an old one gets a sentence instead of a syntax error.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")
WITHOUT_PIP = """This Python cannot make virtual environments: its module `ensurepip` is missing.
On Debian and Ubuntu `sudo apt install python3-venv` brings it; then run the same command again."""
TOO_OLD = """codeact-bot needs Python 3.11 or newer, and {found} is {version}.
Install one (macOS: `brew install python@3.13`; Debian and Ubuntu: `sudo apt install python3.11 python3.11-venv`),
then run the same command again, if need be with PYTHON=python3.11 behind it."""


def main() -> None:
    kind = sys.argv[1]
    if sys.version_info < OLDEST:
        change_python()
    lock = ROOT / "requirements" / (kind + ".txt")
    if not is_current(kind):
        make(kind, lock)


def change_python() -> None:
    """Go on under a newer Python, if there is one on PATH."""
    for name in NEWER:
        found = shutil.which(name)
        if found:
            os.execv(found, [found, *sys.argv])
    sys.exit(TOO_OLD.format(found=sys.executable, version=".".join(map(str, sys.version_info[:3]))))


def is_current(kind: str) -> bool:
    """Whether .venv holds what the lock file says; what `dev` installed contains `run`."""
    kinds = {kind, "dev"}
    return PYTHON.exists() and any(stamp(one).exists() and stamp(one).read_text() == digest(one) for one in kinds)


def stamp(kind: str) -> Path:
    return VENV / ("lock-" + kind)


def digest(kind: str) -> str:
    """Return a hash of all that the installation depends on."""
    files = (ROOT / "requirements" / (kind + ".txt"), ROOT / "pyproject.toml")
    return hashlib.sha256(b"".join([*(file.read_bytes() for file in files), os.fsencode(ROOT)])).hexdigest()


def make(kind: str, lock: Path) -> None:
    started = time.monotonic()
    show("Making .venv …")
    make_venv()
    for old in VENV.glob("lock-*"):
        old.unlink()
    install(lock)
    show("Installing codeact-bot …")
    run(PYTHON, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    stamp(kind).write_text(digest(kind))
    show("Installed into .venv in {:.0f} s.".format(time.monotonic() - started), last=True)


def make_venv() -> None:
    """Make .venv with a working pip, unless it is there."""
    if PYTHON.exists() and works(PYTHON, "-m", "pip", "--version"):
        return
    if works(sys.executable, "-c", "import ensurepip"):
        run(sys.executable, "-m", "venv", "--clear", VENV)
        return
    run(sys.executable, "-m", "venv", "--clear", "--without-pip", VENV)
    bring_pip()


def bring_pip() -> None:
    """Install pip where Debian has split it off: with the pip that is there, else from the package that holds its wheel."""
    if works(sys.executable, "-m", "pip", "--python", PYTHON, "install", "pip"):
        return
    with tempfile.TemporaryDirectory() as folder:
        if not works("apt-get", "download", "python3-pip-whl", cwd=folder):
            sys.exit(WITHOUT_PIP)
        package = next(Path(folder).glob("*.deb"))
        run("dpkg-deb", "--extract", package, folder)
        wheel = next(Path(folder).rglob("pip-*.whl"))
        run(PYTHON, wheel / "pip", "install", "--no-index", wheel)


def install(lock: Path) -> None:
    """Install exactly what the lock file names, counting aloud."""
    total, done, output = len(re.findall(r"^[a-z0-9]", lock.read_text(), re.MULTILINE)), 0, []
    command = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--progress-bar", "off", "--requirement", str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as pip:
        for line in pip.stdout:
            output.append(line)
            word, _, rest = line.strip().partition(" ")
            total -= word == "Ignoring"
            done += word in ("Collecting", "Requirement")
            if word == "Collecting":
                show("Fetching {} of {} packages: {} …".format(done, total, rest.split("==")[0]))
            elif word == "Installing":
                show("Unpacking {} packages …".format(total))
    check(pip.returncode, command, "".join(output))


def run(*command: object, cwd: object = None) -> None:
    ended = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=cwd, check=False
    )
    check(ended.returncode, command, ended.stdout)


def works(*command: object, cwd: object = None) -> bool:
    try:
        ended = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd, check=False)
    except OSError:
        return False
    return ended.returncode == 0


def check(returncode: int, command: object, output: str) -> None:
    if returncode:
        show("This failed: " + " ".join(map(str, command)), last=True)
        tail = "".join(output.splitlines(keepends=True)[-20:])
        sys.exit(tail + "Is the network up? Running the same command again goes on from here.")


def show(text: str, last: bool = False) -> None:
    """Show how far it is: over the line before on a terminal, each on a line of its own elsewhere."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r\033[K" + text[:width] + "\n" * last)
    elif last or not text.startswith("Fetching"):
        sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
