"""What must hold on this machine before anything starts, and what can be asked of it."""

import contextlib
import errno
import fcntl
import http.client
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg

from backend.progress import StartError

LEAST_FREE = 300_000_000  # bytes on disk


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Raises StartError when another `elp run` uses the folder, or when nothing can be written there."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(data_dir / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StartError(f"The disk is full: nothing can be written to {data_dir}.") from error
        raise StartError(f"{data_dir} cannot be written to. Set ELP_DATA_DIR to a folder of your own.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = os.read(descriptor, 20).decode().strip() or "unknown"
            raise StartError(
                f"The ELP Assistant already runs with the data in {data_dir} (process {process}). "
                "Stop it first, or set ELP_DATA_DIR and ELP_PORT for a second one."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def check_port(host: str, port: int) -> None:
    """Raises StartError when the web server could not listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web server does
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sentence = f"Port {port} is already in use. Stop the other program or set ELP_PORT."
        elif error.errno == errno.EACCES:
            sentence = f"Port {port} is reserved for root. Set ELP_PORT to a number above 1023."
        else:
            sentence = f"Nothing can listen on {host}. Set ELP_HOST to an address of this machine."
        raise StartError(sentence) from error


def check_disk(data_dir: Path) -> None:
    free = shutil.disk_usage(data_dir).free
    if free < LEAST_FREE:
        raise StartError(
            f"The disk is nearly full: {free // 1_000_000} MB are left for {data_dir}, and at least "
            f"{LEAST_FREE // 1_000_000} MB are needed. Free some space, or set ELP_DATA_DIR to another disk."
        )


def check_database(url: str) -> None:
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[-1]
        raise StartError(f"The database of ELP_DATABASE_URL does not answer: {reason}") from error


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        return True
    except OSError:
        return False


def is_ready(host: str, port: int) -> bool:
    """Whether `/readyz` answers 200."""
    own = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # asked, not listened on
    connection = http.client.HTTPConnection(own, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
