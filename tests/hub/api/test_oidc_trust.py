"""Whom the hub believes: keys of each kind that issuers sign with, and authorities that are nobody's but one's own."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from typing import TYPE_CHECKING

import pytest

from hub.tls.authority import Signed, issue_server, make_authority
from tests.support.api import Api, running_api
from tests.support.issuer import Issuer, jwk, jwk_of, running_issuer, sign, sign_by
from tests.support.oidc import ROUTE, log_in, running, settings_for

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_keys_of_other_kinds_than_rsa_are_believed_for_what_they_are(tmp_path: Path, algorithm: str) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.keys = [jwk("rsa"), jwk_of(algorithm)]
        issuer.sign = lambda claims: sign_by(algorithm, claims)
        assert (await log_in(issuer, api)).status_code == 201
        issuer.sign = lambda claims: sign_by(algorithm, claims, kid="rsa")
        assert (await log_in(issuer, api)).status_code == 401, "the key of that name is of another kind"
        issuer.sign = lambda claims: sign(claims, kid="one")
        assert (await log_in(issuer, api)).status_code == 401
        issuer.keys = [jwk("one")]
        issuer.sign = lambda claims: sign_by(algorithm, claims)
        assert (await log_in(issuer, api)).status_code == 201, "the key that is kept for an hour"

    running(tmp_path, play)


def test_a_signature_of_a_key_that_is_not_listed_is_none_whatever_its_kind(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.sign = lambda claims: sign_by("ES256", claims)
        answer = await log_in(issuer, api)
        assert (answer.status_code, "does not list" in answer.text) == (401, True)
        assert issuer.asked.count("/keys") == 2, "there might have been newer ones"

    running(tmp_path, play)


def test_an_issuer_with_a_certificate_of_a_private_authority_is_believed_with_ca_file_alone(tmp_path: Path) -> None:
    own, foreign = (make_authority(name, NOW, DAY) for name in ("own", "foreign"))

    async def scenario() -> None:
        async with running_issuer(_serving(tmp_path, own)) as issuer:
            assert issuer.url.startswith("https://")
            for authority, status, said in ((own, 201, ""), (foreign, 503, "does not answer"), (None, 503, "")):
                folder = tmp_path / f"{status}-{said[:4]}"
                folder.mkdir()
                (folder / "ca.crt").write_text(authority.certificate if authority else "", encoding="ascii")
                more = {"ca_file": str(folder / "ca.crt")} if authority else {}
                async with running_api(folder, settings=settings_for(issuer.url, **more)) as api:
                    answer = await log_in(issuer, api)
                    assert (answer.status_code, said in answer.text) == (status, True), answer.text
                    assert (await api.anyone.get(ROUTE)).status_code == (200 if status == 201 else 503)

    asyncio.run(scenario())


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("no certificate", encoding="ascii")

    async def scenario() -> None:
        async with (
            running_issuer() as issuer,
            running_api(tmp_path, settings=settings_for(issuer.url, ca_file=str(tmp_path / "ca.crt"))) as api,
        ):
            answer = await api.anyone.get(ROUTE)
            assert (answer.status_code, "see api.oidc.ca_file" in answer.text) == (503, True)

    asyncio.run(scenario())


def _serving(folder: Path, authority: Signed) -> ssl.SSLContext:
    made = issue_server(authority, "issuer", ["127.0.0.1"], NOW, NOW + DAY)
    (folder / "issuer.pem").write_text(made.certificate + made.key, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "issuer.pem")
    return context
