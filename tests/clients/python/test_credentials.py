"""A client proves who it is with every call, and gives its secret to nobody else."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from cascade_client import Client, Health, UnavailableError
from cascade_client.credentials import Credentials, is_loopback

NOW = datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as objects and as files."""

    made: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: Path
    private: Path


def issue(folder: Path, name: str, by: Certificate | None = None) -> Certificate:
    """A certificate for `name`, signed by itself or by an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    builder = builder.issuer_name(by.made.subject if by else subject).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(NOW + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    made = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = made.sign(by.key if by else key, hashes.SHA256())
    chain, private = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Certificate(signed, key, chain, private)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return issue(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture
def guarded(authority: Certificate, tmp_path: Path) -> Iterator[str]:
    """The address of a server with TLS that answers only those who show a certificate."""
    own = issue(tmp_path, "server", authority)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    answers = health.HealthServicer()
    answers.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(answers, server)
    pair = [(own.private.read_bytes(), own.chain.read_bytes())]
    credentials = grpc.ssl_server_credentials(pair, authority.chain.read_bytes(), require_client_auth=True)
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield f"localhost:{port}"
    server.stop(None).wait()


def test_a_key_goes_with_every_call(connect: Any, target: str, shelf: Any) -> None:
    client = connect(target, api_key="csk_1_abc")
    client.info()
    client.upsert("notes", ["a text"])
    list(client.rank_stream("x", documents=["x"]))
    assert shelf.proofs == ["Bearer csk_1_abc"] * 3


def test_without_credentials_and_tenant_a_call_names_neither(connect: Any, target: str, shelf: Any) -> None:
    connect(target).info()
    assert (shelf.proofs, shelf.tenants) == ([""], [""])


def test_a_token_is_asked_for_before_every_try(connect: Any, target: str, shelf: Any) -> None:
    tokens = iter(["first", "second"])
    shelf.fail(grpc.StatusCode.UNAVAILABLE)
    connect(target, token=lambda: next(tokens)).info()
    assert shelf.proofs == ["Bearer first", "Bearer second"]


def test_what_goes_wrong_when_a_token_is_fetched_reaches_the_caller(connect: Any, target: str) -> None:
    def broken() -> str:
        raise KeyError("no issuer")

    with pytest.raises(KeyError, match="no issuer"):
        connect(target, token=broken).info()


def test_a_client_certificate_opens_a_server_that_asks_for_one(
    connect: Any, guarded: str, authority: Certificate, tmp_path: Path
) -> None:
    own = issue(tmp_path, "caller", authority)
    client = connect(
        guarded, root_certificates=authority.chain, client_certificate=str(own.chain), client_key=own.private
    )
    assert client.health() is Health.SERVING


def test_a_server_with_a_stranger_s_certificate_is_not_talked_to(connect: Any, guarded: str, tmp_path: Path) -> None:
    stranger = issue(tmp_path, "stranger")
    with pytest.raises(UnavailableError):
        connect(guarded, retries=0, root_certificates=stranger.chain, api_key="secret").health(timeout=10.0)


@pytest.mark.parametrize(
    "secret", [{"api_key": "csk_1_abc"}, {"token": lambda: "a"}], ids=lambda options: next(iter(options))
)
def test_a_secret_does_not_leave_the_machine_unencrypted(secret: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"would go to ranking\.example:50051 unencrypted") as caught:
        Client("ranking.example:50051", **secret)
    assert "csk_1_abc" not in str(caught.value)
    Client("ranking.example:50051", tls=True, **secret).close()
    Client("ranking.example:50051", insecure_credentials=True, **secret).close()


@pytest.mark.parametrize(
    ("target", "own"),
    [
        ("localhost:50051", True),
        ("LocalHost", True),
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:50051", True),
        ("::1", True),
        ("ipv6:[::1]:1", True),
        ("dns:///localhost:1", True),
        ("unix:/run/cascade.sock", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:1", True),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", False),
        ("dns://resolver.example/localhost:1", False),
        ("ranking.example/localhost:1", False),
        ("localhost.example:1", False),
        ("127.0.0.1.example:1", False),
        ("0.0.0.0:1", False),
        ("", False),
    ],
)
def test_only_addresses_of_this_machine_are_its_own(target: str, own: bool) -> None:
    assert is_loopback(target) is own


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api_key": "a", "token": lambda: "b"}, "found api_key and token"),
        ({"client_certificate": "a.pem"}, "belong together"),
        ({"client_key": "a.key"}, "belong together"),
        ({"tls": True, "credentials": grpc.ssl_channel_credentials()}, "found credentials beside settings of TLS"),
        ({"api_key": "csk_1_\nabc"}, "api_key is no text of printable ASCII"),
        ({"api_key": "csk_1_ä"}, "api_key is no text of printable ASCII"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Client(**options)
    assert "abc" not in str(caught.value)


def test_a_secret_is_not_shown_where_options_are_printed() -> None:
    assert "csk_1_abc" not in repr(Credentials("localhost:1", api_key="csk_1_abc"))


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.pem"):
        Client(root_certificates=tmp_path / "missing.pem")
