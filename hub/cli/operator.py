"""``iothub operator``: keys with which operators sign commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from hub.cli.base import USAGE, CliError, open_state, options

group = typer.Typer(help="Keys with which operators sign commands.", no_args_is_help=True, rich_markup_mode=None)

_PRIVATE_MODE = 0o600


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="operator")


@group.callback()
def operator() -> None:
    """Keys with which operators sign commands.

    Nodes that hold operators' public keys run nothing but commands signed by one of them.
    """


@group.command()
def keygen(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The operator; signatures name it.")],
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where the two files go.", readable=False)
    ] = Path(),
) -> None:
    """Make a key: NAME.key stays with you (mode 0600), NAME.pub goes to the nodes."""
    from wire.signing import PRIVATE_SUFFIX, PUBLIC_SUFFIX, new_key, private_pem, public_text

    _check_name(name)
    private, public = folder / f"{name}{PRIVATE_SUFFIX}", folder / f"{name}{PUBLIC_SUFFIX}"
    key = new_key()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(private, private_pem(key))
        _write_new(public, public_text(key).encode() + b"\n")
    except FileExistsError as error:
        raise CliError(f"{error.filename} is there already: nothing was overwritten", USAGE) from error
    except OSError as error:
        raise CliError(f"cannot write {error.filename}: {error.strerror}") from error
    print(f"{private}  the private key: keep it, and show it to nobody")
    print(f"{public}  the public key")
    print("\nFor the settings of each node that shall take signed commands only:")
    print(f'  [agent.commands.operators]\n  {name} = "{public_text(key)}"')
    print(f"\nSo that the hub can check signatures, too: iothub operator trust {public}")
    print(f"Sign a command: iothub send NODE COMMAND --sign {private}")


@group.command()
def trust(
    context: typer.Context,
    public: Annotated[Path, typer.Argument(metavar="NAME.pub", help="A public key.", readable=False)],
) -> None:
    """Have the hub check this operator's signatures, so that the journal says whether they are right."""
    from wire.signing import PUBLIC_SUFFIX, KeyUnusable, read_public

    name = public.name.removesuffix(PUBLIC_SUFFIX)
    _check_name(name)
    try:
        text = public.read_text(encoding="utf-8")
        read_public(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"cannot read {public}: {error}", USAGE) from error
    except KeyUnusable as error:
        raise CliError(f"{public}: {error}", USAGE) from error
    target = open_state(options(context).settings()).operators / f"{name}{PUBLIC_SUFFIX}"
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(target, text.encode())
    except FileExistsError as error:
        raise CliError(f"{target} is there already; remove it first if {name} has a new key", USAGE) from error
    except OSError as error:
        raise CliError(f"cannot write {error.filename}: {error.strerror}") from error
    print(f"Trusted: {target}. A running hub takes it within seconds.")


# -- private ----------------------------------------------------------------------------------------------------------


def _check_name(name: str) -> None:
    from wire.errors import TopicError
    from wire.topics import check_node_id

    try:
        check_node_id(name)
    except TopicError as error:
        raise CliError(f"operator {name!r}: 1 to 64 of A-Z a-z 0-9 . _ -", USAGE) from error


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is nobody else's to read and was not there before."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
