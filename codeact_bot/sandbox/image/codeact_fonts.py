"""Imported by every Python that starts in the image: leads matplotlib to the font cache that was made with the image.

The sandbox's root is read-only and matplotlib wants a writable folder, so links in a fresh MPLCONFIGDIR lead to the cache.
"""

import os

CACHE = "/opt/codeact/matplotlib"

try:
    os.mkdir(os.environ["MPLCONFIGDIR"])
    for name in os.listdir(CACHE):
        os.symlink(os.path.join(CACHE, name), os.path.join(os.environ["MPLCONFIGDIR"], name))
except (KeyError, OSError):
    pass
