"""Every test process uses one torch thread: two run side by side, and results must not depend on the thread count."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
os.environ.pop("ARENA_DB", None)
