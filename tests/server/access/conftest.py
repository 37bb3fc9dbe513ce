"""Callers with all kinds of credentials: certificates, tokens and keys that are made for these tests."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from google.protobuf import descriptor_pool

from cascade_api.v1 import index_pb2
from cascade_server.access.refusals import Refusal
from cascade_server.control.secrets import new_secret
from cascade_server.control.state import Key, KeyDigest, Quota, Role, State, Usage
from cascade_server.control.store import Store
from cascade_server.errors import PermissionDeniedError, UnauthenticatedError
from cascade_server.settings import Settings

NOW = datetime.now(UTC)
AUDIENCE = "cascade"
ISSUER = "https://issuer.example"


def pem_of(key: Any) -> bytes:
    """A private key in PEM."""
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, in PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path) -> dict[str, Path]:
        """Both as files, by the settings that name them."""
        paths = {"tls_certificate": folder / "tls.crt", "tls_key": folder / "tls.key"}
        paths["tls_certificate"].write_bytes(self.certificate)
        paths["tls_key"].write_bytes(self.key)
        return paths


class Authority:
    """A certificate authority; EC keys, because RSA keys take long to make."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.root = self._sign(self._name, self._key.public_key(), (), NOW + timedelta(days=2), ca=True)

    def issue(self, name: str, *also: str, ends: datetime = NOW + timedelta(days=1)) -> Issued:
        """A certificate for the common name `name`, with `also` as alternative names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return Issued(self._sign(subject, key.public_key(), also, ends), pem_of(key))

    def server(self) -> Issued:
        """A certificate for a server on loopback."""
        return self.issue("localhost", "localhost", "127.0.0.1")

    def _sign(self, subject: x509.Name, key: Any, also: Sequence[str], ends: datetime, *, ca: bool = False) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=2))
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if also:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(n) for n in also]), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _general(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Signer:
    """Signs tokens as an identity provider does, with an RSA key `rsa` and an EC key `ec`."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())

    @property
    def key_set(self) -> dict[str, Any]:
        """Its public keys, as it publishes them."""
        rsa_key = jwt.algorithms.RSAAlgorithm.to_jwk(self.rsa.public_key(), as_dict=True)
        ec_key = jwt.algorithms.ECAlgorithm.to_jwk(self.ec.public_key(), as_dict=True)
        return {"keys": [rsa_key | {"kid": "rsa", "use": "sig", "alg": "RS256"}, ec_key | {"kid": "ec"}]}

    @property
    def published(self) -> bytes:
        """The key set as bytes."""
        return json.dumps(self.key_set).encode()

    @property
    def public_pem(self) -> bytes:
        """The RSA public key in PEM, as it might be taken for a secret."""
        return self.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Good claims but for what is changed; None leaves one out."""
        good = {
            "sub": "alice",
            "iss": ISSUER,
            "aud": AUDIENCE,
            "exp": int(NOW.timestamp()) + 3600,
            "cascade_tenant": "acme",
            "cascade_role": "writer",
        }
        return {name: value for name, value in (good | changed).items() if value is not None}

    def token(
        self,
        *,
        algorithm: str = "ES256",
        kid: str | None = None,
        headers: Mapping[str, Any] | None = None,
        **changed: Any,
    ) -> str:
        """A token that checks, but for what is changed."""
        key = self.rsa if algorithm == "RS256" else self.ec
        chosen = kid or ("rsa" if algorithm == "RS256" else "ec")
        return jwt.encode(self.claims(**changed), key, algorithm, {"kid": chosen, **(headers or {})})


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand, as an attacker does."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@dataclass(frozen=True)
class Call:
    """What the access check asks of a gRPC context."""

    metadata: Sequence[tuple[str, str | bytes]] = ()
    origin: str = "ipv4:127.0.0.1:5000"
    auth: Mapping[str, Sequence[bytes]] = field(default_factory=dict)

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        return self.metadata

    def peer(self) -> str:
        return self.origin

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        return self.auth


class Ring:
    """Keys as the store would have them, with their secrets."""

    def __init__(self) -> None:
        self.keys: dict[str, KeyDigest] = {}
        self._keyed = False

    def add(
        self,
        key_id: str,
        tenant: str | None = "acme",
        role: Role = Role.READER,
        *,
        expires_at: datetime | None = None,
        certificate_name: str | None = None,
    ) -> str:
        """A key; returns its secret."""
        secret, digest = new_secret(key_id)
        key = Key(key_id, tenant, role, "", NOW, certificate_name, expires_at)
        self.keys[key_id] = KeyDigest(key, None if certificate_name else digest)
        # The store gives a new mapping with each change.
        self.keys = dict(self.keys)
        self._keyed = True
        return secret

    def state(self) -> State:
        """What the store says."""
        return State(keys=self.keys, keyed=self._keyed)


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The authority that servers and clients trust."""
    return Authority("tests")


@pytest.fixture(scope="session")
def stranger() -> Authority:
    """An authority that nobody trusts."""
    return Authority("stranger")


@pytest.fixture(scope="session")
def signer() -> Signer:
    """Who signs the tokens that are accepted."""
    return Signer()


@pytest.fixture
def ring() -> Ring:
    """No keys yet."""
    return Ring()


@pytest.fixture(scope="session")
def call() -> type[Call]:
    """Makes a call's context."""
    return Call


@pytest.fixture(scope="session")
def forge() -> Callable[..., str]:
    """Puts a token together by hand."""
    return unsigned


@pytest.fixture
def refusing() -> Callable[[Refusal], Any]:
    """Expects a refusal of this kind."""

    class Refusing:
        def __init__(self, kind: Refusal) -> None:
            self._kind = kind
            self.message = ""

        def __enter__(self) -> Refusing:
            return self

        def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
            assert isinstance(error, UnauthenticatedError | PermissionDeniedError), f"found {error!r}"
            assert error.kind == self._kind
            self.message = str(error)
            return True

    return Refusing


@pytest.fixture
def now() -> list[datetime]:
    """The time as a test sets it: the last of the list."""
    return [NOW]


PLAIN = "retrieve: [{kind: bm25}]\ntiers: [{kind: identity, name: keep, depth: 5}]\n"
TENANTS = ("acme", "globex")


class Guarded:
    """A server of two tenants with keys, each of which has things that are called after it."""

    def __init__(self, running: Any, store: Store) -> None:
        self.running = running
        self.store = store
        self.secrets: dict[tuple[str | None, Role], str] = {}
        self.key_ids: dict[tuple[str | None, Role], str] = {}

    def as_(self, tenant: str | None, role: Role, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        """The metadata of a caller with that key."""
        return (("authorization", f"Bearer {self.secrets[tenant, role]}"), *more)

    async def call(self, rpc: str, request: Any = b"", metadata: Any = ()) -> bytes:
        """The answer, in bytes, of any RPC to one message; of a stream all answers after one another."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        channel = self.running.channel
        match streaming(rpc):
            case (False, False):
                return bytes(await channel.unary_unary(rpc)(data, metadata=metadata))
            case (False, True):
                return b"".join([part async for part in channel.unary_stream(rpc)(data, metadata=metadata)])
            case (True, False):
                return bytes(await channel.stream_unary(rpc)(iter([data]), metadata=metadata))
            case _:
                return b"".join([part async for part in channel.stream_stream(rpc)(iter([data]), metadata=metadata)])


def streaming(rpc: str) -> tuple[bool, bool]:
    """Whether the request and the answer of an RPC are streams."""
    service, name = rpc.strip("/").split("/")
    method = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    return method.client_streaming, method.server_streaming


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def guarded(serve: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    """That server, running."""
    folder = tmp_path_factory.mktemp("guarded")
    for tenant in ("default", *TENANTS):
        (folder / "cascades" / tenant).mkdir(parents=True)
        for name in ("fast", "quality", "rerank", "plain"):
            (folder / "cascades" / tenant / f"{name}.yaml").write_text(PLAIN)
    store = Store(Settings(data_dir=folder).store_at)
    store.migrate()
    keys = {}
    for tenant in TENANTS:
        store.create_tenant("test", tenant, Quota())
        store.put_version("test", tenant, f"{tenant}-search", PLAIN)
        store.activate("test", tenant, f"{tenant}-search", 1)
        store.add_usage([Usage(tenant, f"{tenant}-search", "2026-01-31", requests=7)])
    for tenant, role in [*((tenant, role) for tenant in TENANTS for role in Role), (None, Role.ADMIN)]:
        keys[tenant, role] = store.create_key("test", tenant, role, f"{tenant or 'nobody'}-label")
    async with serve(folder, cascades_dir=folder / "cascades") as running:
        made = Guarded(running, store)
        for place, (key, secret) in keys.items():
            made.secrets[place], made.key_ids[place] = secret, key.key_id
        for tenant in TENANTS:
            writer = made.as_(tenant, Role.WRITER)
            index = f"{tenant}-index"
            await running.indexes.CreateIndex(index_pb2.CreateIndexRequest(name=index), metadata=writer)
        yield made
    store.close()
