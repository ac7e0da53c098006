"""pgstack:alert: told once when something goes wrong and once when all is well again, whatever restarts between."""

import json
import queue
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import tenacity

from tests.deployment import Run, Stack
from tests.stack.repository import ARCHIVE, REPOSITORY, info

_PATH = "/hooks/of-this-test-alone"


class Receiver(ThreadingHTTPServer):
    """What is posted to it; `tls` makes it answer in TLS, with a certificate that nobody signed."""

    def __init__(self, host: str, tls: Path | None = None) -> None:
        self.posted: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        posted = self.posted

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posted.put((self.path, json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__((host, 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.server_address[0]!s}:{self.server_address[1]}"

    def told_by(self, stack: Stack) -> tuple[str, dict[str, Any]]:
        """The next that is posted, while the stack looks again and again, faster than each minute."""
        for attempt in tenacity.Retrying(stop=tenacity.stop_after_delay(90), wait=tenacity.wait_fixed(0.5)):
            with attempt:
                stack.execute("backup", "/usr/local/lib/pgstack/watch")
                return self.posted.get_nowait()
        raise AssertionError


@contextmanager
def receiving(stack: Stack, tls: Path | None = None) -> Iterator[Receiver]:
    """A receiver on the host's address in the stack's network."""
    gateway = stack.engine.networks.get(stack.outputs["network"]).attrs["IPAM"]["Config"][0]["Gateway"]
    receiver = Receiver(gateway, tls)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


@contextmanager
def alerting(stack: Stack, alert: str) -> Iterator[None]:
    """`pgstack:alert` for a while."""
    with stack.configured():
        stack.pulumi("config", "set", "--secret", "pgstack:alert", alert)
        assert alert not in stack.config_file.read_text()
        stack.up()
    try:
        yield
    finally:
        stack.up()
        stack.execute("backup", "sh", "-c", "rm -f /run/postgresql/alert-*")


def test_a_webhook_is_told_once_of_each_change_and_its_url_is_shown_nowhere(stack: Stack) -> None:
    with receiving(stack) as receiver, alerting(stack, f"http://{receiver.address}{_PATH}"):
        assert "* * * * * /usr/local/lib/pgstack/watch" in stack.execute("backup", "cat", "/etc/pgstack/crontab")
        stack.execute("backup", "sh", "-c", f"chmod 500 {ARCHIVE}/*")
        try:
            stack.admin_sql("SELECT pg_logical_emit_message(true, 'alert', 'x'); SELECT pg_switch_wal()")
            path, told = receiver.told_by(stack)
            assert path == _PATH
            assert (told["stack"], told["healthy"]) == (stack.prefix, False)
            assert "WAL can not be archived, " in told["text"]
            stack.container("backup").restart()
            stack.execute("backup", "/usr/local/lib/pgstack/watch")
            stack.execute("backup", "/usr/local/lib/pgstack/watch")
            assert receiver.posted.empty()
        finally:
            stack.execute("backup", "sh", "-c", f"chmod 750 {ARCHIVE}/*")
        stack.admin_sql("SELECT pg_logical_emit_message(true, 'alert', 'x'); SELECT pg_switch_wal()")
        _, told = receiver.told_by(stack)
        assert (told["healthy"], told["text"]) == (True, f"{stack.prefix}: all is well again")
        assert receiver.posted.empty()
        assert _PATH.encode() not in stack.container("backup").logs()
        assert _PATH not in json.dumps(stack.container("backup").attrs)
        assert _PATH not in json.dumps(stack.outputs)


def test_a_failed_and_a_missing_restore_drill_are_told(stack: Stack, pgstack: Run) -> None:
    bundle = f"{REPOSITORY}/backup/main/{info(stack)['backup'][-1]['label']}/bundle"
    with receiving(stack) as receiver, alerting(stack, f"http://{receiver.address}{_PATH}"):
        stack.execute("backup", "mv", bundle, f"{REPOSITORY}/aside")
        try:
            pgstack("drill", code=1)
        finally:
            stack.execute("backup", "mv", f"{REPOSITORY}/aside", bundle)
        _, told = receiver.told_by(stack)
        assert told["text"].endswith(": the last restore drill failed, `pgstack drill list` says why")
        pgstack("drill")
        _, told = receiver.told_by(stack)
        assert told["healthy"] is True

        metrics = "/var/lib/pgstack-evidence/pgstack_drills.prom"
        before = stack.execute("drills", "cat", metrics)
        stack.execute(
            "drills", "sed", "-i", "s/^\\(pgstack_drill_last_passed_timestamp_seconds\\) .*/\\1 1763000000.5/", metrics
        )
        _, told = receiver.told_by(stack)
        assert told["text"].endswith(": no restore drill has passed since 2025-11-13 02:13:20 UTC")
        assert stack.execute("drills", "cat", metrics) != before
        pgstack("drill")
        assert receiver.told_by(stack)[1]["healthy"] is True


def test_a_receiver_whose_certificate_nobody_signed_is_told_nothing_and_is_tried_again(
    stack: Stack, tmp_path: Path
) -> None:
    certificate = tmp_path / "receiver.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj /CN=receiver"
    stack.run(*made.split(), "-keyout", str(certificate), "-out", str(tmp_path / "certificate"))
    certificate.write_text(certificate.read_text() + (tmp_path / "certificate").read_text())
    with (
        receiving(stack, certificate) as receiver,
        alerting(stack, f"https://{receiver.address}{_PATH}"),
    ):
        stack.execute("backup", "sh", "-c", "echo disk >/run/postgresql/alert-told; : >/run/postgresql/alert-seen")
        for _ in range(2):
            ended = stack.container("backup").exec_run(["/usr/local/lib/pgstack/watch"])
            assert ended.exit_code == 60  # curl's code: the certificate can't be verified
        assert receiver.posted.empty()
        assert stack.execute("backup", "cat", "/run/postgresql/alert-told") == "disk\n"


def test_a_line_of_shell_gets_the_same_on_its_standard_input(stack: Stack) -> None:
    with alerting(stack, "cat >/run/postgresql/alert-heard"):
        stack.execute("backup", "sh", "-c", "echo disk >/run/postgresql/alert-told; : >/run/postgresql/alert-seen")
        stack.execute("backup", "/usr/local/lib/pgstack/watch")
        heard = json.loads(stack.execute("backup", "cat", "/run/postgresql/alert-heard"))
        assert heard == {"stack": stack.prefix, "healthy": True, "text": f"{stack.prefix}: all is well again"}


@pytest.mark.parametrize("alert", ['https://example.org/"; output = "x', "https://example.org/a b"])
def test_a_url_that_is_none_is_refused_and_not_repeated(stack: Stack, alert: str) -> None:
    with stack.configured():
        stack.pulumi("config", "set", "--secret", "pgstack:alert", alert)
        refused = stack.up(check=False)
    assert 'pgstack:alert is "***": give a URL without blanks and quotes, or one line of shell' in refused.stdout
    assert alert not in refused.stdout + refused.stderr
