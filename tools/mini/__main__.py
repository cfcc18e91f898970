"""Write the files of mini into the package, or into the folder that is given."""

from __future__ import annotations

import sys
from pathlib import Path

from robustbench_char.tasks.sources import MINI_TEXT
from tools.mini.files import write_all

write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else MINI_TEXT.parent)
