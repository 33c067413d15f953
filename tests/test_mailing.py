"""Failed runs by mail: through this host's sendmail, or an SMTP server."""

import email
import email.policy
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from holdover import MailTo, Run, errors, make_region
from holdover.regions import mailing

RUN = Run(
    region="jobs",
    name="tidy",
    slot_at=1.0,
    begun_at=2.0,
    duration=3.25,
    error="ValueError: zwölf\nBcc: all@example.org",
    details="Traceback ...",
)


def read(raw):
    """Read a mail."""
    return email.message_from_bytes(raw, policy=email.policy.default)


class SmtpServer(threading.Thread):
    """Takes one mail, by RFC 5321."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.commands = []
        self.mail = b""
        self.start()

    def run(self):
        """Talk to one client."""
        with self.listening:
            wire, _ = self.listening.accept()
        with wire, wire.makefile("rwb", buffering=0) as file:
            file.write(b"220 test\r\n")
            for line in file:
                self.commands.append(line.strip().decode())
                if line.upper().startswith(b"DATA"):
                    file.write(b"354 go on\r\n")
                    for part in iter(file.readline, b".\r\n"):
                        self.mail += part
                if line.upper().startswith(b"QUIT"):
                    file.write(b"221 bye\r\n")
                    return
                file.write(b"250 ok\r\n")


def test_by_smtp():
    """All addresses get it, and nothing of the error gets into its headers."""
    server = SmtpServer()
    to = ("ops@example.org", "dev@example.org")
    MailTo(to=to, host="127.0.0.1", port=server.port, sender="shop@example.org")(RUN)
    server.join(20.0)
    mail = read(server.mail)
    assert "ops@example.org, dev@example.org" == mail["To"]
    assert "shop@example.org" == mail["From"]
    assert mail["Bcc"] is None
    assert "jobs/tidy failed: ValueError: zwölf Bcc: all@example.org" in mail["Subject"]
    assert "auto-generated" == mail["Auto-Submitted"]
    sent_at = mail["Date"].datetime.timestamp()
    assert abs(sent_at - time.time()) < 60
    assert "zwölf" in mail.get_content()
    assert "after 3.2 s" in mail.get_content()
    receivers = [one for one in server.commands if one.lower().startswith("rcpt")]
    assert 2 == len(receivers)


@pytest.fixture
def sendmail(tmp_path, monkeypatch):
    """Put a program in the place of sendmail; give the file in which mails end."""
    script = tmp_path / "sendmail"
    script.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/said\ncat > {tmp_path}/mail\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "mail"


def test_by_sendmail(sendmail):
    """As cron does; the addresses are in the mail, and never arguments."""
    MailTo.of("mailto:ops@example.org, dev@example.org")(RUN)
    mail = read(sendmail.read_bytes())
    assert "ops@example.org, dev@example.org" == mail["To"]
    assert "Traceback ..." in mail.get_content()
    assert "-t -i\n" == (sendmail.parent / "said").read_text()


def test_a_schedule_mails(sendmail, clock):
    """A text is enough: ``on_error="mailto:..."``."""
    region = make_region("jobs", time_source=clock).configure("holdover.memory")
    region.schedule(
        lambda: 1 / 0, every=60, name="zero", on_error="mailto:ops@example.org"
    )
    region.attend("zero")
    assert (
        "jobs/zero failed: ZeroDivisionError" in read(sendmail.read_bytes())["Subject"]
    )


def test_nobody_takes_it(clock, monkeypatch, caplog):
    """A mail system that is away is logged, and the run is kept like others."""
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    mail = MailTo(to="ops@example.org", port=port, timeout=1.0)
    with pytest.raises(OSError, match="refused"):
        mail(RUN)
    region = make_region("jobs", time_source=clock).configure("holdover.memory")
    region.schedule(lambda: 1 / 0, every=60, name="zero", on_error=mail)
    region.attend("zero")
    assert "on_error of the schedule 'zero' failed" in caplog.text
    assert 1 == len(region.history("zero"))


def test_sendmail_hangs(sendmail):
    """It is left after the timeout."""
    (sendmail.parent / "sendmail").write_text("#!/bin/sh\nexec sleep 100\n")
    with pytest.raises(subprocess.TimeoutExpired):
        MailTo(to=("ops@example.org",), timeout=0.2)(RUN)


@pytest.mark.parametrize(
    "given", ["", (), "ops", ["ops"], 5, None, ("a@b\r\nBcc: c@d",), ["a@b,c@d"]]
)
def test_no_address(given):
    """What is none is told when it is declared."""
    with pytest.raises(errors.ConfigurationError):
        MailTo(to=given)


def test_no_url():
    """A bare address is told how it is written."""
    with pytest.raises(errors.ConfigurationError, match="such as 'mailto:"):
        MailTo.of("ops@example.org")
    assert mailing.MailTo.of("mailto:a@b").to == ("a@b",)
