"""``iothub tls``: the hub's certificate authority: init, show, issue, renew, revoke."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.base import CliError, options, state_paths
from hub.cli.nodes import checked
from hub.cli.run import make_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.config import Settings
    from hub.tls.certificates import Certificates, Issued

group = typer.Typer(
    help="Certificates for the network: init, show, issue, renew, revoke.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Node = Annotated[str, typer.Argument(metavar="NODE", help="Node id.")]
_Names = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="NAME", help="Name or address by which other machines reach this one; repeatable."),
]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where certificate and key go.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="tls")


@group.callback()
def tls() -> None:
    """Make and look after the certificates that the network listeners need."""


@group.command()
def init(
    context: typer.Context,
    names: _Names = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make a new authority: every machine must be given it anew.")
    ] = False,
) -> None:
    """Make the authority and the certificate of broker and join endpoint.

    Without --name, broker.lan.names of the settings count, or this machine's own name. localhost is always among them.
    """
    settings = options(context).settings()
    make_state(settings)
    with _certificates(settings) as certificates:
        if certificates.exists and not replace:
            raise CliError(
                f"there is an authority in {certificates.folder} already. The server's certificate for other names: "
                "iothub tls renew --name NAME. A new authority, which no machine trusts yet: --replace"
            )
        certificates.make(settings.hub.id, _hosts(settings, names))
        _print_made(settings, certificates)
    _reload(settings)


@group.command()
def show(context: typer.Context, as_json: _Json = False) -> None:
    """List all certificates: for whom, until when, revoked or not."""
    from hub.cli.output import local_time, print_json, table

    settings = options(context).settings()
    with _certificates(settings) as certificates:
        found, fingerprint = certificates.everything(), certificates.fingerprint()
    if as_json:
        print_json([_row(each) for each in found])
        return
    now = dt.datetime.now(dt.UTC)
    table(
        ("KIND", "NAME", "GOOD FOR", "ENDS", "STATE"),
        [
            (
                each.kind,
                each.facts.name,
                ", ".join(each.facts.hosts),
                local_time(each.facts.ends.isoformat()),
                _state(each, now),
            )
            for each in found
        ],
    )
    print(f"\nfingerprint of the authority (SHA-256): {fingerprint}")


@group.command()
def issue(context: typer.Context, node: _Node, out: _Out = Path()) -> None:
    """Make a client certificate, with which NODE needs no password.

    Writes NODE.crt, NODE.key and ca.crt (mode 0600); the key is kept nowhere else. broker.lan.certificate_port must be
    set. The node needs its account as ever: `iothub nodes add NODE`.
    """
    from hub.paths import write_secret

    settings = options(context).settings()
    checked(node)
    with _certificates(settings) as certificates:
        made = certificates.issue(node)
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(out / f"{node}.key", made.key.rstrip())
        write_secret(out / f"{node}.crt", made.certificate.rstrip())
        write_secret(out / "ca.crt", certificates.authority_file.read_text(encoding="ascii").rstrip())
    print(
        f"{out / node}.crt, {out / node}.key and {out / 'ca.crt'}: copy them to {node}, and name them in its settings:"
    )
    print(f'  mqtt.tls = true, mqtt.cert_file = "{node}.crt", mqtt.key_file = "{node}.key", mqtt.ca_file = "ca.crt"')
    if not settings.broker.lan.certificate_port:
        print("The broker takes no certificates yet: set broker.lan.certificate_port and start it again.")


@group.command()
def renew(
    context: typer.Context,
    node: Annotated[str | None, typer.Argument(metavar="[NODE]", help="A node; the server when left out.")] = None,
    names: _Names = None,
    out: _Out = Path(),
) -> None:
    """Issue a certificate anew: the server's, which the running broker takes at once, or that of NODE.

    The earlier one of a node stays good until it ends, so that there is time to exchange it; `revoke` ends it.
    """
    if node is not None:
        issue(context, node, out)
        return
    settings = options(context).settings()
    with _certificates(settings) as certificates:
        hosts = _hosts(settings, names) if names or settings.broker.lan.names else ()
        made = certificates.renew_server(hosts)
        certificates.forget_ended()
    print(f"The server's certificate is good for {', '.join(made.hosts)} until {made.ends:%Y-%m-%d}.")
    _reload(settings)


@group.command()
def revoke(context: typer.Context, node: _Node) -> None:
    """Refuse all certificates of NODE from now on, and cut its connection.

    Its password, if it has one, stays good: `iothub nodes rotate` or `rm` ends that.
    """
    settings = options(context).settings()
    checked(node)
    with _certificates(settings) as certificates:
        count = certificates.revoke(node)
    if not count:
        raise CliError(f"{node} has no certificate that is good; `iothub tls show` lists all")
    print(f"Revoked {count} certificate{'s' if count > 1 else ''} of {node}.")
    _reload(settings)
    _cut(settings, node)


def _print_made(settings: Settings, certificates: Certificates) -> None:
    hosts = ", ".join(certificates.server().hosts)
    print(f"Made a certificate authority in {certificates.folder}, and a certificate for {hosts}.")
    print(f"  fingerprint of the authority (SHA-256): {certificates.fingerprint()}")
    print(f"  Keep a copy of {certificates.folder / 'ca.key'} where nobody else can read it.")
    if not settings.broker.lan.enabled:
        print("To open the broker to the network: [broker.lan] enabled = true in iothub.toml, and `iothub up`.")


def _hosts(settings: Settings, names: list[str] | None) -> list[str]:
    from hub.config import default_hub_id

    wanted = names or list(settings.broker.lan.names) or [default_hub_id()]
    return list(dict.fromkeys([*wanted, "localhost", "127.0.0.1"]))


@contextlib.contextmanager
def _certificates(settings: Settings) -> Iterator[Certificates]:
    from hub.broker.errors import BrokerError
    from hub.broker.lan import certificates_of
    from hub.tls.authority import TlsError

    try:
        yield certificates_of(settings, state_paths(settings))
    except (TlsError, BrokerError, UnicodeDecodeError) as error:
        raise CliError(str(error)) from error
    except OSError as error:
        raise CliError(f"{error.filename or state_paths(settings).tls}: {error.strerror or error}") from error


def _reload(settings: Settings) -> None:
    """Have what runs here take the change, and say whether it did."""
    from hub.broker.lan import reload

    try:
        done = reload(settings, state_paths(settings))
    except OSError as error:
        raise CliError(f"the running broker was not told: {error}. Start it again.") from error
    if done:
        print("The running broker has been told.")


def _cut(settings: Settings, node: str) -> None:
    """A revoked certificate ends no connection by itself."""
    import asyncio

    from hub.broker.accounts import Accounts
    from hub.broker.credentials import for_admin
    from hub.broker.errors import AccountError, NoSuchAccount
    from hub.runfile import read_run

    running = read_run(state_paths(settings).run)
    if running is None:
        return
    admin = for_admin(settings, state_paths(settings), port=running.broker_port)
    try:
        asyncio.run(Accounts(admin).cut(node))
    except NoSuchAccount:
        return  # it can do nothing any more
    except AccountError as error:
        raise CliError(f"its connection may still be open: {error}") from error
    print(f"The connection of {node} was cut.")


def _state(each: Issued, now: dt.datetime) -> str:
    if each.revoked is not None:
        return f"revoked {each.revoked:%Y-%m-%d}"
    if each.facts.ends <= now:
        return "ended"
    return f"good for {(each.facts.ends - now).days} d"


def _row(each: Issued) -> dict[str, object]:
    facts = each.facts
    return {
        "kind": each.kind,
        "name": facts.name,
        "hosts": list(facts.hosts),
        "serial": f"{facts.serial:x}",
        "starts": facts.starts.isoformat(),
        "ends": facts.ends.isoformat(),
        "revoked": each.revoked.isoformat() if each.revoked is not None else None,
        "sha256": facts.sha256,
    }
