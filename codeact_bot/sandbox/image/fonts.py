"""Run while the image is built: makes matplotlib's font cache and has every Python that starts find it.

The sandbox's root is read-only and matplotlib wants a writable folder, so links in a fresh MPLCONFIGDIR lead to the cache.
"""

import os
import site
import subprocess
import sys

CACHE = "/opt/codeact/matplotlib"

if __name__ == "__main__":
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], env=dict(os.environ, MPLCONFIGDIR=CACHE), check=True)
    packages = site.getsitepackages()[0]
    os.makedirs(packages, exist_ok=True)
    with open(__file__) as source, open(os.path.join(packages, "codeact_fonts.py"), "w") as target:
        target.write(source.read())
    with open(os.path.join(packages, "codeact_fonts.pth"), "w") as hook:
        hook.write("import codeact_fonts\n")
    subprocess.run([sys.executable, "-c", "import codeact_fonts"], check=True)
else:
    try:
        os.mkdir(os.environ["MPLCONFIGDIR"])
        for name in os.listdir(CACHE):
            os.symlink(os.path.join(CACHE, name), os.path.join(os.environ["MPLCONFIGDIR"], name))
    except (KeyError, OSError):
        pass
