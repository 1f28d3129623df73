"""Where data, caches and run states live. VEIL_DATA overrides the data folder."""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("VEIL_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("VEIL_CACHE", ROOT / "train" / "cache"))
RUNS = Path(os.environ.get("VEIL_RUNS", ROOT / "train" / "runs"))


def need(path, what):
    """Return `path`, or stop with one clear line if it is not there."""
    if not Path(path).exists():
        raise SystemExit(f"{what} not found: {path} (set VEIL_DATA or pass --data)")
    return Path(path)
