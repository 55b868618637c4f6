"""Commands of `taltool` that start in milliseconds instead of seconds: a process that has imported all forks for each.

`serving` gives the folder of a command `taltool`, which shell scripts put first in PATH. Folder, environment and
standard streams are the caller's; what a fork cannot show is how Python itself starts.
"""

import atexit
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from project import PROJECT

# A command that hands all it was started with to the server, and ends with the exit status that comes back.
_CLIENT = """#!{python} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(asked)
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
    for module in ("av", "taltool.prediction.predict", "taltool.training.train", "taltool.extraction.extract"):
        importlib.import_module(module)
    from taltool.cli.main import main
    from taltool.models import MODELS

    for name in MODELS.built_in():
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


def _answer(asker: socket.socket, main: Callable[[], object]) -> None:
    """Run the command that is asked for as a process of its own would, tell its exit status, and end."""
    head, descriptors, *_ = socket.recv_fds(asker, 8, 3)
    size = int.from_bytes(head, "big")
    body = b""
    while len(body) < size:
        body += asker.recv(size - len(body))
    words, place, environment = json.loads(body)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # Streams of their own, which know whether what they are now is a terminal, and can be sought in.
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", closefd=False, buffering=1)
    os.chdir(place)
    os.environ.clear()
    os.environ.update(environment)
    added = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    sys.path[:0] = added
    sys.argv = ["taltool", *words]
    try:
        status = main()
    except SystemExit as error:
        status = error.code
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    asker.send(bytes([status if isinstance(status, int) else int(status is not None)]))
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
