"""`taltool` commands for shell scripts that run hundreds of them: a process that has imported all forks for each.

A command then starts in milliseconds instead of seconds. `serving` gives the folder to put first in PATH.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project import PROJECT

# A command that hands its words, folder and standard streams to the server, and ends with its exit status.
_CLIENT = """#!{python} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv[1:], os.getcwd()]).encode()
    socket.send_fds(server, [len(asked).to_bytes(8, "big") + asked], [0, 1, 2])
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    os._exit((server.recv(1) or b"\\xff")[0])
"""


@contextmanager
def serving(folder: Path) -> Iterator[Path]:
    """A folder with `taltool` and `python3` of this project in it, as long as the `with` block lasts."""
    address = str(folder / "socket")
    client = folder / "taltool"
    client.write_text(_CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    (folder / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "python3").chmod(0o755)
    environment = os.environ | {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests'}", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "forked_taltool", address]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        try:
            yield folder
        finally:
            server.terminate()


def _serve(address: str) -> None:
    for module in ("taltool.prediction.predict", "taltool.training.train"):
        importlib.import_module(module)
    from taltool.cli.main import main
    from taltool.models import MODELS

    for name in MODELS.names():
        MODELS.load(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            asker, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(asker, main)
            asker.close()


def _answer(asker: socket.socket, main: object) -> None:
    """Run the command that is asked for as a process of its own would, tell its exit status, and end."""
    head, descriptors, *_ = socket.recv_fds(asker, 1 << 20, 3)
    size = int.from_bytes(head[:8], "big")
    body = head[8:]
    while len(body) < size:
        body += asker.recv(size)
    words, place = json.loads(body)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # Streams of their own, which know whether what they are now can be sought in.
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    os.chdir(place)
    sys.argv = ["taltool", *words]
    try:
        status = main()  # type: ignore[operator]
    except SystemExit as error:
        status = error.code
    sys.stdout.flush()
    sys.stderr.flush()
    asker.send(bytes([status if isinstance(status, int) else int(status is not None)]))
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
