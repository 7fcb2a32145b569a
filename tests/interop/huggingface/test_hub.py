"""A hub model is fetched without anything that could be run; a hub out of reach is one line that helps."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from pipeline.base.errors import UserError
from pipeline.interop.huggingface.hub import model_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"pickle",
    "modeling_evil.py": b"raise SystemExit",
}


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a download asks for: one model, somebody/model."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/models/somebody/model/tree/"):
            entries = [{"type": "file", "path": name, "size": len(FILES[name]), "oid": name} for name in FILES]
            self._send(json.dumps(entries).encode(), body)
        elif path.startswith("/api/models/somebody/model/revision/") and path.rsplit("/")[-1] in ("main", COMMIT):
            siblings = [{"rfilename": name} for name in FILES]
            self._send(json.dumps({"id": "somebody/model", "sha": COMMIT, "siblings": siblings}).encode(), body)
        elif path.startswith("/api/models/somebody/model/revision/"):
            self._send(b"{}", body, 404, "RevisionNotFound")
        elif path.startswith("/somebody/model/resolve/"):
            self._send(FILES[path.rsplit("/")[-1]], body)
        else:
            self._send(b"{}", body, 404, "RepoNotFound")

    def _send(self, content: bytes, body: bool, status: int = 200, error: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", '"etag"' if len(content) != 7 else '"other"')
        if error is not None:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(autouse=True)
def _of_its_own(hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other hub is asked, and nothing that was fetched before is found."""
    monkeypatch.setattr(constants, "ENDPOINT", hub)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{hub}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.mark.parametrize("revision", [None, COMMIT])
def test_weights_shape_and_tokenizer_are_fetched_and_nothing_else(revision: str | None) -> None:
    folder = model_folder("none", "somebody/model", revision)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: FILES[name] for name in ("config.json", "tokenizer.json", "model.safetensors")
    }


def test_a_tokenizer_is_fetched_without_the_weights() -> None:
    folder = model_folder("none", "somebody/model", None, weights=False)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "tokenizer.json"]


@pytest.mark.parametrize(
    ("endpoint", "model", "revision", "message"),
    [
        (None, "nobody/model", None, "hub model nobody/model: there is no such model on the hub; see `hub:`"),
        (None, "somebody/model", "v9", "hub model somebody/model: has no `revision: v9`; take a commit of its page"),
        (
            None,
            "some body",
            None,
            "hub model some body: there is no such model on the hub; see `hub:` of the pretrain config",
        ),
        (
            "http://127.0.0.1:9",
            "somebody/model",
            None,
            "by hand into data/pretrained/model, drop `hub:`, and write `pretrained: model` in configs/config.yaml",
        ),
    ],
)
def test_what_cannot_be_fetched_is_one_line_that_says_what_to_do(
    endpoint: str | None, model: str, revision: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if endpoint is not None:
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    with pytest.raises(UserError) as caught:
        model_folder("none", model, revision)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_hub_model_the_folder_counts() -> None:
    assert model_folder("theirs", None, None) == Path("data/pretrained/theirs")
