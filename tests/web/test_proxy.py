"""A proxy that signs people in, over real HTTP: whose word counts, and whose does not."""

from __future__ import annotations

import httpx
import pytest

from adapters.web.oidc import OidcGate
from adapters.web.proxy import Proxies, ProxyGate, household
from adapters.web.server import bind
from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.settings import Settings
from codeact_bot.site import gate
from codeact_bot.types import Author, People, Rates
from tests.web.staff import csrf, served

PEOPLE = People(allow=("@example.org", "sub:bob"), admins=("root@example.org",))
USER, EMAIL = "X-Forwarded-User", "X-Forwarded-Email"


def trusting(*addresses: str) -> ProxyGate:
    return ProxyGate(Proxies.of(addresses), PEOPLE, user=USER, email=EMAIL)


async def test_whom_the_proxy_names_is_let_in() -> None:
    async with served(trusting("127.0.0.0/8")) as place, place.client() as client:
        for headers, name in (({USER: "ada", EMAIL: "ada@example.org"}, "ada@proxy"), ({USER: "eve@example.org"}, "eve@example.org"), ({USER: "bob"}, "bob@proxy")):
            page = await client.get("/", headers=headers)
            assert page.status_code == 200
            asked = await client.post("/new", data={"text": "Mine?"}, headers={**headers, "x-csrf-token": csrf(page.text)})
            assert asked.status_code == 200
            assert place.core.accepted[-1].author == Author(id=name, name=headers[USER])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(USER, "")],
        [(USER, "ada")],
        [(USER, "bob"), (USER, "root@example.org")],
        [(USER, "bob"), (EMAIL, "bob@example.org"), (EMAIL, "root@example.org")],
        [("X_Forwarded_User", "bob")],
        [(USER, "ada@evil.example")],
    ],
)
async def test_who_is_not_named_once_or_not_listed_is_refused(headers: list[tuple[str, str]]) -> None:
    async with served(trusting("127.0.0.1")) as place, place.client() as client:
        refused = await client.get("/", headers=headers)
        assert refused.status_code == 401
        assert ProxyGate.remedy in refused.text


async def test_nobody_else_can_name_anybody() -> None:
    async with served(trusting("10.0.0.7")) as place, place.client() as client:
        assert (await client.get("/", headers={USER: "bob"})).status_code == 401
        assert (await client.get("/", headers={USER: "bob", "X-Forwarded-For": "10.0.0.7"})).status_code == 401


async def test_a_session_of_before_is_nobody_without_the_header() -> None:
    async with served(trusting("127.0.0.1")) as place, place.client() as client:
        assert (await client.get("/", headers={USER: "bob"})).status_code == 200
        assert client.cookies
        assert (await client.get("/")).status_code == 401


async def test_budgets_are_by_the_address_that_the_proxy_gives() -> None:
    async with served(trusting("127.0.0.1"), proxies=Proxies.of(["127.0.0.1", "10.0.0.0/8"]), rates=Rates(viewer=1e6, address=3)) as place, place.client() as client:
        ways = ["1.2.3.4", "9.9.9.9, 1.2.3.4", "1.2.3.4, 10.0.0.9"]
        assert [(await client.get("/signed-out", headers={"X-Forwarded-For": way})).status_code for way in ways] == [200] * 3
        assert (await client.get("/signed-out", headers={"X-Forwarded-For": "1.2.3.4"})).status_code == 429
        assert (await client.get("/signed-out", headers={"X-Forwarded-For": "1.2.3.5"})).status_code == 200


async def test_one_household_has_one_budget_however_many_addresses_it_has() -> None:
    async with served(trusting("127.0.0.1"), proxies=Proxies.of(["127.0.0.1"]), rates=Rates(viewer=1e6, address=3)) as place, place.client() as client:
        ways = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::1", "2001:DB8:1:2:0:0:0:3", "2001:db8:1:2::4", "2001:db8:1:3::1"]
        assert [(await client.get("/signed-out", headers={"X-Forwarded-For": way})).status_code for way in ways] == [200, 200, 200, 429, 200]


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_what_an_address_shares_a_budget_with(address: str, whose: str) -> None:
    assert household(address) == whose


def test_a_proxy_is_known_by_its_address_of_ipv4_on_a_socket_for_both_kinds() -> None:
    assert Proxies.of(["10.0.0.0/8"]).has("::ffff:10.0.0.7")
    assert not Proxies.of(["10.0.0.0/8"]).has("::ffff:11.0.0.7")


async def test_with_https_before_it_the_cookie_is_secure_and_for_this_host_alone() -> None:
    with bind("127.0.0.1", 0, or_any=False) as free:
        at = f"127.0.0.1:{free.getsockname()[1]}"
    async with served(url="https://codeact.example.org", at=at) as place:
        link = place.links[0].removeprefix("https://codeact.example.org")
        async with httpx.AsyncClient(base_url=f"http://{at}") as client:
            came = await client.get(link, headers={"host": "codeact.example.org"})
        assert came.headers["strict-transport-security"] == "max-age=31536000"
        cookie = came.headers["set-cookie"]
        assert cookie.startswith("__Host-codeact=")
        for part in ("secure", "httponly", "samesite=lax", "path=/", "Max-Age=604800"):
            assert part in cookie
        assert "domain" not in cookie.lower()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"oidc_issuer": "https://a.example", "proxy_user_header": USER}, "both set"),
        ({"oidc_issuer": "https://a.example", "oidc_client_id": "c", "oidc_client_secret": "s"}, "nobody may use it yet"),
        ({"oidc_issuer": "https://a.example", "people": PEOPLE}, "CODEACT_OIDC_CLIENT_ID"),
        ({"proxy_user_header": USER, "people": PEOPLE}, "needs CODEACT_PROXY_ADDRESSES"),
        ({"proxy_user_header": USER, "proxy_addresses": ["10.0.0.0/33"], "people": PEOPLE}, "CODEACT_PROXY_ADDRESSES is not a list"),
    ],
)
def test_settings_that_would_let_in_the_wrong_people_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=said):
        gate(Settings(_env_file=None, **given))  # type: ignore[call-arg,arg-type]


def test_the_settings_make_the_gate_of_a_team() -> None:
    issuer = {"oidc_issuer": "https://a.example", "oidc_client_id": "c", "oidc_client_secret": "s", "people": PEOPLE}
    assert isinstance(gate(Settings(_env_file=None, **issuer)), OidcGate)  # type: ignore[arg-type]
    proxy = {"proxy_user_header": USER, "proxy_addresses": ("10.0.0.7",), "people": PEOPLE}
    assert isinstance(gate(Settings(_env_file=None, **proxy)), ProxyGate)  # type: ignore[arg-type]


def test_without_any_the_link_is_the_way_in() -> None:
    assert gate(Settings(_env_file=None)) is None  # type: ignore[call-arg]
    assert gate(Settings(_env_file=None, proxy_addresses=("10.0.0.7",))) is None  # type: ignore[call-arg]
