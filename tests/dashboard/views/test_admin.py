"""**Admin**: users and their groups, tokens, nodes, join tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.apps import Served, cells, page, press, serving, widget, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamlit.testing.v1 import AppTest

pytestmark = pytest.mark.usefixtures("as_admin")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("api"), joins=True) as served:
        yield served


def user(api: Served, name: str) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {api.tokens['admin']}"}
    found = httpx.get(f"{api.url}/api/v1/users", headers=headers, timeout=60).json()["items"]
    (one,) = [each for each in found if each["name"] == name]
    return dict(one)


def may_log_in(api: Served, name: str, password: str) -> bool:
    body = {"user": name, "password": password}
    return httpx.post(f"{api.url}/api/v1/token", json=body, timeout=60).is_success


def change(name: str) -> AppTest:
    app = page("admin")
    return widget(app.selectbox, "Change a user").set_value(name).run()  # type: ignore[no-any-return]


def add(api: Served, name: str, groups: list[str] | None) -> None:
    headers = {"Authorization": f"Bearer {api.tokens['admin']}"}
    body = {"name": name, "role": "viewer", "groups": groups, "password": "long enough, is it"}
    httpx.post(f"{api.url}/api/v1/users", headers=headers, json=body, timeout=60).raise_for_status()


@pytest.mark.parametrize("groups", [[], ["lab"], None], ids=["no node", "one group", "all nodes"])
def test_who_gets_another_password_sees_what_he_saw(api: Served, groups: list[str] | None) -> None:
    name = f"narrow-{len(groups) if groups is not None else 'not'}"
    add(api, name, groups)
    app = change(name)
    widget(app.text_input, "New password (empty: stays)").set_value("another one, longer")
    press(app, "Save")
    assert user(api, name)["groups"] == groups
    assert may_log_in(api, name, "another one, longer")


def test_who_logs_in_elsewhere_is_listed_and_changed_and_can_have_no_password(api: Served) -> None:
    app = change("olga")
    assert "https://id.example" in cells(app)
    assert "Logs in at" in words(app)
    assert "New password (empty: stays)" not in [one.label for one in app.text_input]
    app.checkbox(key="all nodes olga").set_value(False)
    app.multiselect(key="groups olga").set_value([])
    press(app, "Save")
    assert (user(api, "olga")["groups"], user(api, "olga")["has_password"]) == ([], False)
    press(change("olga"), "End all sessions and tokens")
    press(change("olga"), "Remove the user")
    assert "olga" not in cells(page("admin")).split()


def test_the_command_line_of_the_hub_itself_cannot_be_chosen() -> None:
    assert "local" not in widget(page("admin").selectbox, "Change a user").options


def test_a_user_is_added_for_the_nodes_of_a_group_and_the_password_is_shown_once(api: Served) -> None:
    app = page("admin")
    names = [one for one in app.text_input if one.label == "Name"]
    names[-1].set_value("lab-reader")
    app.checkbox(key="all nodes new").set_value(False)
    app.multiselect(key="groups new").set_value(["lab"])
    [one for one in app.button if one.label == "Add"][-1].click().run()
    assert user(api, "lab-reader")["groups"] == ["lab"]
    assert "The password is shown this once" in words(app)
    assert "lab-reader" in cells(page("admin"))


def test_the_groups_of_a_node_are_changed(api: Served) -> None:
    app = page("admin")
    widget(app.selectbox, "Node").set_value("host1").run()
    next(one for one in app.text_input if one.label == "Groups" and not one.placeholder).set_value("lab, new")
    press(app, "Save groups")
    headers = {"Authorization": f"Bearer {api.tokens['admin']}"}
    assert httpx.get(f"{api.url}/api/v1/nodes/host1", headers=headers, timeout=60).json()["groups"] == ["lab", "new"]


def test_a_token_for_a_program_is_shown_once_and_ends() -> None:
    app = page("admin")
    widget(app.text_input, "What for").set_value("backup")
    [one for one in app.button if one.label == "Make a token"][-1].click().run()
    assert "It is shown this once" in words(app)
    again = page("admin")
    assert "**backup** (read)" in words(again)
    ends = [one for one in again.button if one.label == "End"]
    ends[-1].click().run()
    assert "**backup** (read)" not in words(page("admin"))


def test_a_join_token_is_shown_as_a_line_to_run_and_can_be_revoked() -> None:
    app = page("admin")
    next(one for one in app.button if one.label == "Make a token").click().run()
    assert "iothub-agent join" in words(app)
    again = page("admin")
    assert "1 uses left" in words(again)
    press(again, "Revoke")
    assert "1 uses left" not in words(page("admin"))
