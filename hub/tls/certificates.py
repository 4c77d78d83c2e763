"""The authority's folder: what was issued, what is revoked, when it ends.

{state}/tls/            0700
├── ca.crt              the authority; what clients trust
├── ca.key              0600  signs; whoever has it can be any node: keep a copy elsewhere, and only there
├── server.crt .key     0600  of the broker and of the join endpoint
├── revoked.crl         what the broker refuses
└── issued/NAME-*.crt   certificates of nodes; their keys are handed out and not kept
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hub.broker.rights import check_node_name
from hub.paths import write_secret
from hub.tls import authority
from hub.tls.authority import Facts, Signed, TlsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

AUTHORITY_LIFETIME: Final = dt.timedelta(days=3650)
#: A server certificate that ends sooner than this is renewed when the broker starts.
RENEW_BEFORE: Final = dt.timedelta(days=30)
_FORGOTTEN_AFTER: Final = dt.timedelta(days=7)
_CA: Final = "ca"
_SERVER: Final = "server"
#: Long enough to tell the certificates of one node apart in a folder.
_SHOWN_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate of this authority."""

    #: ``ca``, ``server`` or ``node``.
    kind: str
    facts: Facts
    #: None while it is good.
    revoked: dt.datetime | None = None


class Certificates:
    """The authority in ``folder``. Every call reads the files, so that processes see each other's changes.

    Raises, from every call but ``exists`` and ``make``:
        TlsError: there is no authority yet, or a file in it is damaged.
        OSError: a file cannot be read or written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lifetime: dt.timedelta = dt.timedelta(days=397),
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self.folder = folder
        self._lifetime = lifetime
        self._clock = clock

    @property
    def exists(self) -> bool:
        """Whether there is an authority."""
        return self._path(_CA, "crt").exists()

    @property
    def authority_file(self) -> Path:
        """What clients are given to trust."""
        return self._path(_CA, "crt")

    @property
    def server_files(self) -> tuple[Path, Path]:
        """Certificate and key of the broker and of the join endpoint."""
        return self._path(_SERVER, "crt"), self._path(_SERVER, "key")

    @property
    def crl_file(self) -> Path:
        """The revocation list."""
        return self.folder / "revoked.crl"

    def make(self, hub: str, hosts: Sequence[str]) -> None:
        """Make the authority and the server's certificate; nothing of an earlier authority is trusted any more.

        Raises:
            TlsError: no hosts, or one that is neither a name nor an address.
            OSError: the folder cannot be written.
        """
        now = self._clock()
        ca = authority.make_authority(f"iothub {hub} {now:%Y-%m-%d}", now, AUTHORITY_LIFETIME)
        server = authority.issue_server(ca, hub, hosts, now, now + self._lifetime)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.folder.chmod(0o700)
        for old in (self.folder / "issued").glob("*.crt"):
            old.unlink()  # of an authority that is no more
        self._write(_SERVER, server)
        write_secret(self.crl_file, authority.revocations(ca, [], now).rstrip())
        self._write(_CA, ca)

    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate; by it a machine that joins knows the right hub."""
        return authority.fingerprint(self._read(_CA).certificate)

    def server(self) -> Facts:
        """What the server's certificate says."""
        return authority.facts(self._read(_SERVER).certificate)

    def renew_server(self, hosts: Sequence[str] = ()) -> Facts:
        """Issue the server's certificate anew, for other ``hosts`` where some are given."""
        now = self._clock()
        old = self.server()
        made = authority.issue_server(self._read(_CA), old.name, hosts or old.hosts, now, now + self._lifetime)
        self._write(_SERVER, made)
        return authority.facts(made.certificate)

    def renew_server_in_time(self) -> bool:
        """Renew the server's certificate when it ends soon; whether it was."""
        if self.server().ends - self._clock() > RENEW_BEFORE:
            return False
        self.renew_server()
        return True

    def issue(self, node: str) -> Signed:
        """Key and certificate of ``node``; the key is kept nowhere. Earlier ones stay good until they are revoked.

        Raises:
            TopicError: the name is outside the grammar of node ids.
            NameReserved: the hub itself uses it.
        """
        check_node_name(node)
        now = self._clock()
        made = authority.issue_client(self._read(_CA), node, now, now + self._lifetime)
        folder = self.folder / "issued"
        folder.mkdir(mode=0o700, exist_ok=True)
        serial = f"{authority.facts(made.certificate).serial:x}"[:_SHOWN_DIGITS]
        write_secret(folder / f"{node}-{serial}.crt", made.certificate.rstrip())
        return made

    def revoke(self, node: str) -> int:
        """Revoke all certificates of ``node`` that are still good; how many they were."""
        now = self._clock()
        revoked = self._revoked()
        fresh = [each.facts.serial for each in self.nodes() if each.facts.name == node and each.revoked is None]
        if fresh:
            revoked |= dict.fromkeys(fresh, now)
            write_secret(self.crl_file, authority.revocations(self._read(_CA), revoked.items(), now).rstrip())
        return len(fresh)

    def nodes(self) -> list[Issued]:
        """The certificates of nodes, by name, newest last."""
        revoked = self._revoked()
        found = [authority.facts(path.read_text(encoding="ascii")) for path in (self.folder / "issued").glob("*.crt")]
        found.sort(key=lambda each: (each.name, each.starts, each.ends))
        return [Issued("node", each, revoked.get(each.serial)) for each in found]

    def everything(self) -> list[Issued]:
        """Authority, server and nodes."""
        return [
            Issued("ca", authority.facts(self._read(_CA).certificate)),
            Issued("server", self.server()),
            *self.nodes(),
        ]

    def forget_ended(self) -> None:
        """Drop certificates of nodes that ended a while ago: nobody is waiting for them to be renewed any more."""
        now = self._clock() - _FORGOTTEN_AFTER
        for path in (self.folder / "issued").glob("*.crt"):
            if authority.facts(path.read_text(encoding="ascii")).ends < now:
                path.unlink()

    def _revoked(self) -> dict[int, dt.datetime]:
        self._read(_CA)
        return authority.revoked_serials(self.crl_file.read_text(encoding="ascii"))

    def _path(self, name: str, kind: str) -> Path:
        return self.folder / f"{name}.{kind}"

    def _read(self, name: str) -> Signed:
        try:
            return Signed(
                self._path(name, "crt").read_text(encoding="ascii"), self._path(name, "key").read_text(encoding="ascii")
            )
        except FileNotFoundError as error:
            if self.exists:
                raise TlsError(f"{error.filename} is missing: put it back, or `iothub tls init --replace`") from error
            raise TlsError(f"there is no certificate authority in {self.folder}; make one: iothub tls init") from error

    def _write(self, name: str, made: Signed) -> None:
        """The key first: a certificate without its key stops the broker, a key without its certificate does not."""
        write_secret(self._path(name, "key"), made.key.rstrip())
        write_secret(self._path(name, "crt"), made.certificate.rstrip())
