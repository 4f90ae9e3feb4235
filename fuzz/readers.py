"""Feed damaged files to one reader: whatever is in a file, the reader returns a scan or raises our error.

    python -m fuzz.readers dicom [--seconds 60]

Inputs grow from the committed ones in fuzz/corpus; what libFuzzer finds worth keeping goes into a
temporary folder. A crash, a hang of over 10 s, or more than 1 GiB of memory ends the run with an error
and leaves the input in fuzz/found. The process that decodes may die, but not take more than that either.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["diffdenoise.scan", "diffdenoise.model.folder", "diffdenoise.model.record", "pydicom", "nibabel"]
):
    from diffdenoise.errors import DiffDenoiseError
    from diffdenoise.model import Model
    from diffdenoise.scan import child
    from diffdenoise.scan.limits import TIME_SETTING
    from diffdenoise.scan.read import read_scan

from fuzz.targets import TARGETS

ROOT = Path(__file__).parent
CORPUS, FOUND = ROOT / "corpus", ROOT / "found"
_MOST_BYTES, _MOST_MEMORY_MB, _LONGEST_S = 2**21, 1024, 10
#: Decoders are given seconds of computing, libFuzzer counts by the clock; on a busy machine these are more.
_DECODER_S = "1"


def load(path: Path) -> None:
    """Read what is there: a scan, or a model folder."""
    if path.name != "model":
        read_scan(path)
        return
    Model.load(path, device="cpu", threads=1)


def peak_of_child_mb() -> int:
    """Return the most memory that the decoding process had, in MiB; 0 if there is none."""
    for each in child._kept:
        with suppress(OSError):
            for line in Path(f"/proc/{each._process.pid}/status").read_text(encoding="ascii").splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) // 1024
    return 0


def main() -> None:
    """Fuzz one target."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    target = TARGETS[given.target]
    FOUND.mkdir(exist_ok=True)
    os.environ.setdefault(TIME_SETTING, _DECODER_S)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / target.place
        (Path(folder) / "kept").mkdir()

        def read(data: bytes) -> None:
            target.put(data, path)
            try:
                load(path)
            except DiffDenoiseError as error:
                if "\n" in str(error):
                    raise RuntimeError("an error of more than one line") from error
            if peak_of_child_mb() > _MOST_MEMORY_MB:
                raise RuntimeError("the decoding process took too much memory")

        options = [
            f"-max_len={_MOST_BYTES}",
            f"-rss_limit_mb={_MOST_MEMORY_MB}",
            f"-timeout={_LONGEST_S}",
            f"-max_total_time={given.seconds}",
            f"-artifact_prefix={FOUND}/{given.target}-",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        atheris.Setup([sys.argv[0], *options, str(Path(folder) / "kept"), str(CORPUS / given.target)], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
