"""Telling people of failed runs by mail, as cron's MAILTO does."""

from __future__ import annotations

import shutil
import smtplib
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Self

from holdover.regions.errors import ConfigurationError
from holdover.regions.lifetime import seconds
from holdover.regions.runs import Run

SCHEME = "mailto:"
_SENDMAIL_PATH = "/usr/sbin:/usr/lib:/sbin"
_SMTP_PORT = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class MailTo:
    """Mails each failed run; for ``on_error=``.

    Attributes:
        to: The addresses.
        sender: From whom; None leaves it to the mail system.
        host: The SMTP server; None hands the mail to this host's ``sendmail``, or,
            without one, to the server on this host.
        port: The server's port.
        timeout: Seconds that each step may take.

    Raises:
        ConfigurationError: There is no address, or it is none.
    """

    to: tuple[str, ...]
    sender: str | None = None
    host: str | None = None
    port: int = _SMTP_PORT
    timeout: float = 10.0

    def __post_init__(self) -> None:
        given: object = self.to
        listed = (given,) if isinstance(given, str) else given
        if not isinstance(listed, Sequence) or not listed:
            raise ConfigurationError(f"to= must be addresses, got {given!r:.80}")
        for one in listed:
            if not isinstance(one, str) or "@" not in one or set(one) & set("\r\n,"):
                raise ConfigurationError(f"{one!r:.80} is no address to mail to")
        object.__setattr__(self, "to", tuple(listed))
        object.__setattr__(self, "timeout", seconds(self.timeout, "timeout"))

    @classmethod
    def of(cls, url: str) -> Self:
        """Read ``mailto:ops@example.org``; several addresses have commas between.

        Raises:
            ConfigurationError: It is something else.
        """
        if not url.startswith(SCHEME):
            raise ConfigurationError(
                "on_error must be a function, or a text such as "
                f"'mailto:ops@example.org', got {url!r:.80}"
            )
        return cls(to=tuple(one.strip() for one in url[len(SCHEME) :].split(",")))

    def __call__(self, run: Run) -> None:
        """Mail *run*.

        Raises:
            OSError: The mail could not be handed over. (So are smtplib's errors.)
            subprocess.SubprocessError: The same.
        """
        mail = self._mail(run)
        sendmail = shutil.which("sendmail") or shutil.which(
            "sendmail", path=_SENDMAIL_PATH
        )
        if self.host is not None or sendmail is None:
            with smtplib.SMTP(
                self.host or "localhost", self.port, timeout=self.timeout
            ) as server:
                server.send_message(mail)
            return
        subprocess.run(  # noqa: S603 - addresses go in the mail, not in the arguments
            [sendmail, "-t", "-i"],
            input=mail.as_bytes(),
            check=True,
            capture_output=True,
            timeout=self.timeout,
        )

    def _mail(self, run: Run) -> EmailMessage:
        mail = EmailMessage()
        host = socket.gethostname()
        mail["To"] = ", ".join(self.to)
        mail["From"] = self.sender or f"holdover@{host}"
        # In one line, since a header may have no other.
        subject = f"Holdover <{host}> {run.region}/{run.name} failed: {run.error}"
        mail["Subject"] = " ".join(subject.split())[:200]
        mail["Date"] = datetime.now().astimezone()
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5
        mail.set_content(
            f"The schedule {run.name!r} of region {run.region!r} failed after "
            f"{run.duration:.1f} s:\n\n{run.error}\n\n{run.details}\n"
        )
        return mail
