"""Servers behind TLS, for tests, and Valkey."""

import re
import ssl
import subprocess
from pathlib import Path

from servers import MemcachedServer, RedisServer, free_port, program


class ValkeyServer(RedisServer):
    """A Valkey server that keeps nothing on disk."""

    program = "valkey-server"
    package = "valkey-server"
    scheme = "valkey"


class Certificate:
    """A key and its certificate, signed by itself.

    Args:
        folder: Where they are put.
        name: Whose they are, such as ``"IP:127.0.0.1"``.
    """

    def __init__(self, folder, name="IP:127.0.0.1"):
        self.key = str(Path(folder) / "server.key")
        self.path = str(Path(folder) / "server.crt")
        command = [
            program("openssl", "openssl"),
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
        ]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-subj", "/CN=server", "-addext", f"subjectAltName={name}"]
        command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
        command += ["-keyout", self.key, "-out", self.path]
        subprocess.run(command, check=True, capture_output=True)


class TLSServer(RedisServer):
    """A Redis server that speaks TLS only.

    Args:
        folder: Its working directory.
        certificate: What it shows to clients.
        *options: More of its command line.
    """

    scheme = "rediss"

    def __init__(self, folder, certificate, *options):
        files = ["--tls-cert-file", certificate.path, "--tls-key-file", certificate.key]
        files += ["--tls-ca-cert-file", certificate.path, "--tls-auth-clients", "no"]
        super().__init__(folder, *files, *options)

    def _listening(self):
        return ["--port", "0", "--tls-port", str(self.port)]

    def _connected(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(super()._connected())


class TLSMemcachedServer(MemcachedServer):
    """A memcached server that speaks TLS at its URL, and on another port does not.

    Args:
        certificate: What it shows to clients.
        *options: More of its command line.
    """

    def __init__(self, certificate, *options):
        files = f"ssl_chain_cert={certificate.path},ssl_key={certificate.key}"
        super().__init__("-Z", "-o", files, *options)

    def take_port(self):
        """Choose where to listen, in both ways."""
        super().take_port()
        self._tls_port = free_port()
        self.url = f"127.0.0.1:{self._tls_port}"

    def _listening(self):
        plain = f"notls:127.0.0.1:{self.port}"
        return ["-l", plain, "-l", f"127.0.0.1:{self._tls_port}"]


def rights_in_docs(kind="redis"):
    """Give the commands that the docs tell an administrator to allow."""
    text = (Path(__file__).parent.parent / "docs" / "backends.rst").read_text()
    [listed] = re.findall(rf"ACL SETUSER {kind}-cache ((?:.*\n)+?)\n", text)
    return [word for word in listed.split() if word.startswith(("+", "-"))]
