"""Where the tests of several stages find the same things."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

needs_tools = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("iverilog", "vvp", "bwrap")),
    reason="needs Icarus Verilog and bubblewrap: apt-get install iverilog bubblewrap",
)
