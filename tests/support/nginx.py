"""nginx with the repository's own configuration, put into a folder of the test's."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

import requests

from tailwatch.embedded.environment import ROOT
from tests.support.waiting import wait_until

CONFIGURATION = ROOT / "frontend" / "nginx"
IMAGE = "nginx:stable"
MISSING = "there is no nginx on PATH (apt-get install nginx-light) and no Docker engine that has its official image"


def available() -> bool:
    """Say whether nginx can be run here."""
    return bool(shutil.which("nginx")) or _image_is_there()


def _image_is_there() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0


class Nginx:
    """nginx in front of the API's socket `folder`/run/api.sock; marks are in `folder`/run/marks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder / "run"
        self.html = folder / "html"
        self.log = folder / "nginx.log"
        self.port, self._status_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        #: Where the image has things, and where they are here.
        self._moved = {
            "/etc/nginx/tailwatch": str(folder / "conf"),
            "/tmp/nginx": str(folder / "tmp"),
            "/run/tailwatch": str(self.run),
            "/usr/share/nginx/html": str(self.html),
            "include mime.types": "include /etc/nginx/mime.types",
            "listen 8080": f"listen 127.0.0.1:{self.port}",
            "listen 8081": f"listen 127.0.0.1:{self._status_port}",
        }
        self._process: subprocess.Popen[bytes] | None = None
        for made in (self.run, self.html, folder / "conf", folder / "tmp"):
            made.mkdir(parents=True)
        folder.chmod(0o755)
        (self.html / "index.html").write_text("<!doctype html><title>Tailwatch</title>")

    @property
    def environment(self) -> dict[str, str]:
        """What the API needs to know to stand behind this nginx."""
        return {"TAILWATCH_SOCKET": str(self.run / "api.sock"), "EDGE_MARKS_DIR": str(self.run / "marks")}

    def start(self) -> None:
        for source in CONFIGURATION.iterdir():
            text = source.read_text()
            for there, here in self._moved.items():
                text = text.replace(there, here)
            (self.folder / "conf" / source.name).write_text(text)
        settings = {"TRUSTED_PROXIES": "", "COOKIE_SECURE": "false", "HTTPS_PORT": "443"}
        script = self.folder / "conf" / "40-tailwatch.sh"
        subprocess.run(["sh", script], check=True, env=os.environ | settings)
        arguments = ["nginx", "-c", str(self.folder / "conf" / "nginx.conf"), "-g", "daemon off;"]
        if not shutil.which("nginx"):
            mount = ["-v", f"{self.folder}:{self.folder}"]
            arguments = ["docker", "run", "--rm", "--init", "--network", "host", *mount, IMAGE, *arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)
        wait_until(self._answers, "nginx answers")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"http://127.0.0.1:{self._status_port}/alive", timeout=2).ok
        except requests.ConnectionError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
