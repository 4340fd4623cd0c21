"""Imported before all else in what Triton hosts, where a link to it lies: what is shared is found from then on.

Triton's Python looks in the model's own folder only, of which every mesh has a link. From here on folders go by where
they lie, since what was compiled is kept by that: all models and meshes then share it.
"""

import os
import sys
from pathlib import Path

sys.path[:] = dict.fromkeys(
    [*(each and os.path.realpath(each) for each in sys.path), str(Path(__file__).resolve().parent)]
)
