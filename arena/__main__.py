"""`python -m arena` is the command `arena`."""

from __future__ import annotations

from arena.cli.app import main

main()
