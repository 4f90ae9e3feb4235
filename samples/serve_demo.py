"""Start a server, send it a sample scan, and print where to look: `make serve-demo`."""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

from diffdenoise.errors import told_to_a_command_line
from diffdenoise.serve.client import Client, ServerError
from diffdenoise.serve.options import read_options
from diffdenoise.serve.run import serve


def main(scan: Path, port: int) -> None:
    """Serve from a folder that is deleted at the end."""

    def say(address: str) -> None:
        print(f"open {address}  (Ctrl-C ends it)", flush=True)
        threading.Thread(target=send, args=(address,), daemon=True).start()

    def send(address: str) -> None:
        client = Client(address)
        try:
            done = client.wait(client.send(scan)["id"])
        except ServerError as error:
            print(error, flush=True)
            return
        print(f"{scan.name}: {done['verdict']}; its trust report is on the page", flush=True)

    with tempfile.TemporaryDirectory() as folder, told_to_a_command_line():
        serve(read_options(None, data=Path(folder), port=port), say)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8600)
