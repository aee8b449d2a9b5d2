"""Which answers of a provider are believed: OpenID Connect Core 1.0, 3.1.3.7, and everything that is not so."""

import hmac
import json
import time
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey, RSAKey

from dashboard.openid.provider import KEYS_AGAIN_S, KNOWN_S, LEEWAY_S, Identity, Provider, ProviderError, challenge_of
from domain.errors import ConfigError
from domain.site import OpenId
from tests.dashboard.openid_provider import CLIENT, Answers, provider

BACK = "http://127.0.0.1/openid/back"
SECRET = "a secret of some length, for HS256"


@pytest.fixture
def answers() -> Iterator[Answers]:
    with provider() as running:
        yield running


@pytest.fixture
def settings(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> OpenId:
    monkeypatch.setenv("KEEPWARM_OPENID", SECRET)
    return OpenId(answers.issuer, CLIENT, "http://127.0.0.1", "env:KEEPWARM_OPENID")


def asked(one: Provider, nonce: str = "n") -> Identity:
    return one.identity(code="c", back=BACK, nonce=nonce, verifier="v")


def test_a_good_answer_names_who_it_is(answers: Answers, settings: OpenId) -> None:
    assert asked(Provider(settings)) == Identity(answers.issuer, "42", "李")
    answers.token = lambda own: own.signed(preferred_username="li.ming")
    found = asked(Provider(settings))
    assert (found.name, found.stored) == ("li.ming", f"{answers.issuer} 42")
    answers.token = lambda own: own.signed(name=None)
    assert asked(Provider(settings)).name == "42"


@pytest.mark.parametrize("alg", ["RS256", "RS512", "PS256", "ES256"])
def test_every_usual_signature_is_understood(answers: Answers, settings: OpenId, alg: str) -> None:
    answers.key = ECKey.generate_key("P-256", {"kid": "e"}) if alg == "ES256" else answers.key
    answers.token = lambda own: own.signed(alg)
    assert asked(Provider(settings)).subject == "42"


def encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def unsigned(own: Answers, header: dict[str, str]) -> str:
    parts = (encoded(json.dumps(part).encode()) for part in (header, own.claims()))
    return ".".join([*parts, ""])


def by_secret(own: Answers, secret: bytes) -> str:
    head, body, _ = unsigned(own, {"alg": "HS256"}).split(".")
    return f"{head}.{body}.{encoded(hmac.digest(secret, f'{head}.{body}'.encode(), 'sha256'))}"


def with_other_claims(own: Answers) -> str:
    """A good signature under other claims."""
    head, _, signature = own.signed().split(".")
    return f"{head}.{encoded(json.dumps(own.claims(sub='admin')).encode())}.{signature}"


def in_s(seconds: float) -> int:
    """The instant that is so many seconds off when it is asked, however long other tests took before."""
    return int(time.time() + seconds)


FORGED: dict[str, Callable[[Answers], object]] = {
    "another issuer": lambda own: own.signed(iss="https://evil.example"),
    "no issuer": lambda own: own.signed(iss=None),
    "for somebody else": lambda own: own.signed(aud="another"),
    "for nobody": lambda own: own.signed(aud=None),
    "for several, handed to nobody": lambda own: own.signed(aud=[CLIENT, "another"]),
    "for several, handed to another": lambda own: own.signed(aud=[CLIENT, "another"], azp="another"),
    "handed to another": lambda own: own.signed(azp="another"),
    "too old": lambda own: own.signed(exp=in_s(-LEEWAY_S - 5)),
    "for ever": lambda own: own.signed(exp=None),
    "made at no time": lambda own: own.signed(iat=None),
    "made tomorrow": lambda own: own.signed(iat=in_s(86_400), exp=in_s(90_000)),
    "not valid yet": lambda own: own.signed(nbf=in_s(3_600), exp=in_s(7_200)),
    "of another sign-in": lambda own: own.signed(nonce="other"),
    "of no sign-in": lambda own: own.signed(nonce=None),
    "of nobody": lambda own: own.signed(sub=None),
    "of an empty name": lambda own: own.signed(sub=""),
    "of a number": lambda own: own.signed(sub=42),
    "of a long name": lambda own: own.signed(sub="x" * 256),
    "signed by nobody": lambda own: unsigned(own, {"alg": "none"}),
    "signed by a stranger": lambda own: own.signed(key=RSAKey.generate_key(2048, {"kid": "first"})),
    "signed by an unknown key": lambda own: own.signed(key=RSAKey.generate_key(2048, {"kid": "unknown"})),
    "signed with our secret": lambda own: by_secret(own, SECRET.encode()),
    "signed with the public key": lambda own: by_secret(own, own.key.as_pem(private=False)),
    "altered": with_other_claims,
    "cut short": lambda own: own.signed()[:-20],
    "no token": lambda own: None,
    "a list": lambda own: ["x"],
    "words": lambda own: "not a token",
}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_not_for_us_from_them_now_is_not_believed(answers: Answers, settings: OpenId, what: str) -> None:
    answers.token = FORGED[what]
    with pytest.raises(ProviderError) as raised:
        asked(Provider(settings))
    assert raised.value.refused
    assert SECRET not in str(raised.value)


def test_several_may_be_meant_when_it_was_handed_to_us(answers: Answers, settings: OpenId) -> None:
    answers.token = lambda own: own.signed(aud=["another", CLIENT], azp=CLIENT)
    assert asked(Provider(settings)).subject == "42"


def test_only_signatures_that_the_provider_offers_count(answers: Answers, settings: OpenId) -> None:
    answers.said["id_token_signing_alg_values_supported"] = ["RS256", "none", "HS256"]
    assert asked(Provider(settings)).subject == "42"
    for token in (lambda own: own.signed("PS256"), lambda own: by_secret(own, SECRET.encode()), lambda own: unsigned(own, {"alg": "none"})):
        answers.token = token
        with pytest.raises(ProviderError, match="is not believed"):
            asked(Provider(settings))


def test_keys_that_were_changed_are_looked_up_but_not_at_every_token(answers: Answers, settings: OpenId) -> None:
    now = [1_000_000.0 + time.time()]
    one = Provider(settings, lambda: now[0])
    answers.token = lambda own: own.signed(exp=int(now[0]) + 300, iat=int(now[0]))
    assert asked(one).subject == "42"
    answers.key = RSAKey.generate_key(2048, {"kid": "second"})
    with pytest.raises(ProviderError, match="second"):
        asked(one)
    now[0] += KEYS_AGAIN_S + 1
    assert asked(one).subject == "42"
    looked_up = [path for path, *_ in answers.asked].count("/keys")
    answers.token = lambda own: own.signed(key=RSAKey.generate_key(2048, {"kid": "made up"}))
    for _ in range(5):
        with pytest.raises(ProviderError):
            asked(one)
    assert [path for path, *_ in answers.asked].count("/keys") == looked_up == 2


def test_where_things_are_is_asked_once_an_hour(answers: Answers, settings: OpenId) -> None:
    now = [time.time()]
    one = Provider(settings, lambda: now[0])
    for _ in range(3):
        one.address(back=BACK, state="s", nonce="n", verifier="v", again=False)
    assert [path for path, *_ in answers.asked] == ["/.well-known/openid-configuration"]
    now[0] += KNOWN_S + 1
    one.address(back=BACK, state="s", nonce="n", verifier="v", again=False)
    assert len(answers.asked) == 2


def test_the_reader_is_sent_with_all_that_must_come_back(answers: Answers, settings: OpenId) -> None:
    answers.said["authorization_endpoint"] = f"{answers.issuer}/authorize?realm=heat"
    address = urlsplit(Provider(settings).address(back=BACK, state="s/+", nonce="n", verifier="v", again=True))
    fields = {key: values[0] for key, values in parse_qs(address.query).items()}
    assert fields == {
        "realm": "heat", "response_type": "code", "client_id": CLIENT, "redirect_uri": BACK, "scope": "openid profile", "state": "s/+",
        "nonce": "n", "code_challenge": challenge_of("v"), "code_challenge_method": "S256", "prompt": "login",
    }  # fmt: skip
    assert len(urlsafe_b64decode(fields["code_challenge"] + "=")) == 32
    # RFC 7636, appendix B
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize("ways", [None, ["client_secret_basic", "client_secret_post"], ["client_secret_post"]])
def test_the_code_is_redeemed_as_the_provider_wants_to_know_us(answers: Answers, settings: OpenId, ways: list[str] | None) -> None:
    if ways:
        answers.said["token_endpoint_auth_methods_supported"] = ways
    asked(Provider(settings))
    (fields, headers), *_ = [(fields, headers) for path, fields, headers in answers.asked if path == "/token"]
    expected = {"grant_type": "authorization_code", "code": "c", "redirect_uri": BACK, "code_verifier": "v"}
    if ways == ["client_secret_post"]:
        assert fields == {**expected, "client_id": CLIENT, "client_secret": SECRET}
        assert "Authorization" not in headers
    else:
        assert fields == expected
        assert (
            b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
            == f"{CLIENT}:a%20secret%20of%20some%20length%2C%20for%20HS256"
        )


def test_a_public_client_has_no_secret_to_show(answers: Answers, settings: OpenId) -> None:
    asked(Provider(replace(settings, client_secret="")))
    ((fields, headers),) = [(fields, headers) for path, fields, headers in answers.asked if path == "/token"]
    assert fields["client_id"] == CLIENT
    assert "Authorization" not in headers


def test_a_secret_that_is_not_there_stops_the_start(settings: OpenId, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEEPWARM_OPENID")
    with pytest.raises(ConfigError, match="KEEPWARM_OPENID"):
        Provider(settings)


ODD: dict[str, tuple[str, tuple[int, bytes], bool]] = {
    "not there": ("/.well-known/openid-configuration", (404, b"{}"), True),
    "broken": ("/.well-known/openid-configuration", (500, b""), False),
    "busy": ("/token", (429, b"{}"), False),
    "a page": ("/.well-known/openid-configuration", (200, b"<html>"), True),
    "a list": ("/.well-known/openid-configuration", (200, b"[]"), True),
    "elsewhere": ("/token", (302, b""), True),
    "endless": ("/keys", (200, b"[" * 3_000_000), True),
    "a code used twice": ("/token", (400, b'{"error": "invalid_grant"}'), True),
    "no keys": ("/keys", (200, b'{"keys": 7}'), True),
    "keys of another kind": ("/keys", (200, b'{"keys": [{"kty": "what"}]}'), True),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_answers_are_told_apart_from_no_answer(answers: Answers, settings: OpenId, what: str) -> None:
    path, answer, refused = ODD[what]
    answers.whole[path] = answer
    with pytest.raises(ProviderError) as raised:
        asked(Provider(settings))
    assert raised.value.refused == refused


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": 7},
        {"authorization_endpoint": None},
    ],
)
def test_a_provider_that_says_odd_things_of_itself_is_not_followed(answers: Answers, settings: OpenId, said: dict[str, object]) -> None:
    answers.said = said
    with pytest.raises(ProviderError) as raised:
        Provider(settings).address(back=BACK, state="s", nonce="n", verifier="v", again=False)
    assert raised.value.refused


def test_one_that_is_reached_by_tls_is_never_left_for_plain_http(settings: OpenId, monkeypatch: pytest.MonkeyPatch) -> None:
    secured = replace(settings, issuer="https://login.example")
    one = Provider(secured)
    said = {"issuer": "https://login.example", "authorization_endpoint": "http://login.example/authorize"}
    monkeypatch.setattr(one, "_answer", lambda *_args, **_more: said)
    with pytest.raises(ProviderError, match="no address of https"):
        one.address(back=BACK, state="s", nonce="n", verifier="v", again=False)


def test_one_that_is_away_is_away(settings: OpenId) -> None:
    for away in (replace(settings, issuer="http://127.0.0.1:1"), replace(settings, issuer="https://127.0.0.1:1")):
        with pytest.raises(ProviderError, match="can't be reached") as raised:
            asked(Provider(away))
        assert not raised.value.refused
