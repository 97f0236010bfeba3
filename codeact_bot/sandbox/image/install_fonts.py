"""Run while the image is built: makes matplotlib's font cache, and has every Python that starts import `codeact_fonts`."""

import os
import shutil
import site
import subprocess
import sys

from codeact_fonts import CACHE

packages = site.getsitepackages()[0]
os.makedirs(packages, exist_ok=True)
subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], env=dict(os.environ, MPLCONFIGDIR=CACHE), check=True)
shutil.copy(os.path.join(os.path.dirname(__file__), "codeact_fonts.py"), packages)
with open(os.path.join(packages, "codeact_fonts.pth"), "w") as hook:
    hook.write("import codeact_fonts\n")
subprocess.run([sys.executable, "-c", "import codeact_fonts"], check=True)
