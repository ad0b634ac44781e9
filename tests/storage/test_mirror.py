import http.server
import socket
import threading
import time

import pytest

from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed, UserError
from resp_agent.storage import children, fetch, local, publish, remote, remove
from resp_agent.storage.mirror import SMALL_BYTES
from resp_agent.storage.places import uri_of


def _files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_that_is_written_whole_is_on_the_store(s3, another_machine):
    write_atomic(local(s3) / "a" / "settings.yaml", b"seed: 1")
    another_machine()
    assert not local(s3).exists()
    assert fetch(local(s3) / "a" / "settings.yaml").read_bytes() == b"seed: 1"
    assert list(remote.objects(s3)) == ["a/settings.yaml"]


def test_the_store_is_the_truth(s3, another_machine):
    write_atomic(local(s3) / "x" / "kept", b"1")
    write_atomic(local(s3) / "x" / "gone", b"2")
    first = local(s3)
    another_machine()
    remove(local(s3) / "x" / "gone")
    write_atomic(local(s3) / "x" / "kept", b"other")
    (first / "x" / "never stored").write_bytes(b"3")
    (first / "x" / ".being written").write_bytes(b"4")
    fetch(first / "x")
    assert _files(first / "x") == {"kept": b"other", ".being written": b"4"}
    assert [path.name for path in children(local(s3) / "x")] == ["kept"]


def test_only_what_is_small_or_has_changed_is_fetched(s3, another_machine, monkeypatch):
    large = b"." * (SMALL_BYTES + 1)
    for name in "abcd":
        write_atomic(local(s3) / name, name.encode() + large)
    write_atomic(local(s3) / "small", b"1")
    here = local(s3)
    another_machine()
    # Nobody can tell by size and time that it is another one: it was written within the same second.
    write_atomic(local(s3) / "small", b"2")
    fetched = []
    download = remote.download
    monkeypatch.setattr(remote, "download", lambda uri, file: (fetched.append(uri), download(uri, file)))
    (here / "b").write_bytes(b"damaged")
    (here / "c").unlink()
    fetch(here)
    assert sorted(fetched) == [f"{s3}/b", f"{s3}/c", f"{s3}/small"]
    assert _files(here) == {name: name.encode() + large for name in "abcd"} | {"small": b"2"}


def test_a_folder_is_sealed_last_and_unsealed_first(s3, another_machine, monkeypatch):
    def write(**files):
        folder = local(s3) / "model"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        return folder

    publish(write(seal="0", weights="weights 0", old=""), seal="seal")
    (local(s3) / "model" / "old").unlink()
    upload, states = remote.upload, []

    def watched(file, uri):
        states.append(remote.objects(f"{s3}/model").keys())
        return upload(file, uri)

    monkeypatch.setattr(remote, "upload", watched)
    publish(write(seal="1", weights="weights 1", new=""), seal="seal")
    assert all("seal" not in state for state in states)
    assert states[-1] == {"weights", "new"}
    another_machine()
    assert _files(fetch(local(s3) / "model")) == {"seal": b"1", "weights": b"weights 1", "new": b""}


def test_other_paths_are_left_alone(tmp_path):
    (tmp_path / "x").write_text("1")
    assert fetch(tmp_path / "x") == tmp_path / "x"
    publish(tmp_path / "x")
    assert children(tmp_path) == [tmp_path / "x"]
    remove(tmp_path / "x")
    assert fetch(tmp_path / "x") == tmp_path / "x"
    assert not (tmp_path / "x").exists()


def test_a_bucket_that_is_not_there_is_named(s3):
    with pytest.raises(UserError, match=r"no bucket s3://nobody at http://127.0.0.1.*create it"):
        fetch(local("s3://nobody/x"))


def _answering(code: str):
    class Store(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_PUT = do_GET

        def log_message(self, *arguments):
            pass

    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"])
def test_credentials_that_are_refused_are_named(s3, code, monkeypatch):
    with _answering(code) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(UserError, match="check the credentials in AWS_ACCESS_KEY_ID"):
            fetch(local("s3://clinic/x"))
        server.shutdown()


def test_a_store_that_is_not_there_or_says_nothing_is_told_in_half_a_minute(s3, monkeypatch):
    waits, attempts = remote.SILENT_S, remote.ATTEMPTS
    monkeypatch.setattr(remote, "SILENT_S", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        for port in (1, silent.getsockname()[1]):
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            began = time.monotonic()
            with pytest.raises(RunFailed, match="check AWS_ENDPOINT_URL and the network"):
                write_atomic(local("s3://clinic/x"), b"1")
            # What is not waited for silence is to be had again between attempts.
            assert time.monotonic() - began + (waits - 1.0) * attempts < 30
            assert not local("s3://clinic/x").exists()


def test_a_store_that_fails_for_a_moment_is_asked_again(s3, monkeypatch):
    monkeypatch.setattr(remote, "PAUSE_S", 0.01)
    failures = ["AWS Error NETWORK_CONNECTION during HeadObject operation: Details: Could not connect"] * 2

    def answer():
        if failures:
            raise OSError(failures.pop())
        return "here"

    assert remote._ask(s3, answer) == "here"
    monkeypatch.setattr(remote, "PATIENCE_S", 0.0)
    failures.append("AWS Error SLOW_DOWN during PutObject operation: Reduce your request rate")
    with pytest.raises(RunFailed, match="Reduce your request rate"):
        remote._ask(s3, answer)


def test_the_time_of_a_mirrored_file_is_the_stores(s3, another_machine):
    write_atomic(local(s3) / "x", b"1")
    told = (local(s3) / "x").stat().st_mtime
    another_machine()
    assert fetch(local(s3) / "x").stat().st_mtime == told
    assert uri_of(local(s3) / "x") == f"{s3}/x"
