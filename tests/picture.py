"""docs/charts/report.png, which the README shows: ``python -m tests.picture`` makes it anew."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from entasis_db.embedded import HOME_VARIABLE
from tests.browser import browser
from tests.engines import REPOSITORY

PICTURE = REPOSITORY / "docs" / "charts" / "report.png"
WIDTH, HEIGHT = 1100, 1080
_COLOURS = 64


def make() -> None:
    """Run the demo on a server of its own, and take a picture of the top of its page."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # the user that runs a server for root has to pass through
        page = Path(folder) / "demo.html"
        environment = {**os.environ, HOME_VARIABLE: f"{folder}/server"}
        entasis = [sys.executable, "-m", "entasis_db"]
        try:
            subprocess.run(
                [*entasis, "demo", "--no-browser", "--html", str(page)],
                env=environment,
                check=True,
            )
        finally:
            subprocess.run([*entasis, "stop"], env=environment, check=True)
        with browser() as shown:
            shown.look(WIDTH, "light", HEIGHT)
            shown.open(page)
            assert not shown.complaints
            shown.screenshot(PICTURE, whole=False)
    # a third of the size, and nobody sees it
    with Image.open(PICTURE) as taken:
        taken.convert("RGB").quantize(_COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    make()
