"""Signatures, as an independent receiver and the published vectors see them."""

import base64
import json
import subprocess
import time

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from runledger.callbacks import CallbackSettings, parse_key
from runledger.callbacks.signatures import headers
from runledger.errors import InvalidArgument


def whsec(raw: bytes) -> str:
    return "whsec_" + base64.b64encode(raw).decode()


OLD, NEW, OTHER = whsec(b"o" * 24), whsec(b"n" * 64), whsec(b"x" * 32)
BODY = '{"status": "completed", "text": "naïve ✓"}'.encode()


def test_the_independent_package_verifies_what_is_signed():
    signed = headers([parse_key(OLD)], "run-1-5", int(time.time()), BODY)
    assert Webhook(OLD).verify(BODY, signed) == json.loads(BODY)
    for wrong in (BODY[:-1] + b" }", b"{}"):
        with pytest.raises(WebhookVerificationError):
            Webhook(OLD).verify(wrong, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(BODY, {**signed, "webhook-id": "run-1-6"})
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(OLD).verify(BODY, headers([parse_key(OLD)], "i", int(time.time()) - 3600, BODY))


def test_during_a_rotation_the_old_and_the_next_key_both_verify():
    signed = headers([parse_key(OLD), parse_key(NEW)], "i", int(time.time()), BODY)
    assert len(signed["webhook-signature"].split(" ")) == 2
    for key in (OLD, NEW):
        Webhook(key).verify(BODY, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(BODY, signed)


def test_ed25519_signs_as_rfc_8032_publishes():
    seed = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    public = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    signature = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    for raw in (seed, seed + public):
        key = parse_key("whsk_" + base64.b64encode(raw).decode())
        assert key.public == "whpk_" + base64.b64encode(public).decode()
        assert key.sign(bytes.fromhex("af82")) == "v1a," + base64.b64encode(signature).decode()


def test_openssl_verifies_the_ed25519_signature_of_an_attempt(tmp_path):
    key = parse_key("whsk_" + base64.b64encode(b"s" * 32).decode())
    signed = headers([parse_key(OLD), key], "run-1-5", 1_700_000_000, BODY)
    hmac, ed25519 = signed["webhook-signature"].split(" ")
    assert (hmac[:3], ed25519[:4]) == ("v1,", "v1a,")
    prefix = bytes.fromhex("302a300506032b6570032100")  # the DER header of such a public key
    (tmp_path / "key").write_bytes(prefix + base64.b64decode(key.public.removeprefix("whpk_")))
    (tmp_path / "signature").write_bytes(base64.b64decode(ed25519.removeprefix("v1a,")))
    (tmp_path / "content").write_bytes(b"run-1-5.1700000000." + BODY)
    verify = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin"
    verify = f"{verify} -in content -sigfile signature"
    done = subprocess.run(verify.split(), cwd=tmp_path, capture_output=True, check=False)
    assert b"Verified Successfully" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("secret", "expected whsec_… (HMAC) or whsk_…"),
        ("whsec_!!not-base64!!", "expected base64"),
        (whsec(b"short"), "expected 24 to 64 bytes, found 5"),
        (whsec(b"l" * 65), "expected 24 to 64 bytes, found 65"),
        ("whsk_" + base64.b64encode(b"x" * 31).decode(), "expected 32 or 64 bytes, found 31"),
        ("whsk_" + base64.b64encode(b"x" * 64).decode(), "expected its own public key"),
        ("whpk_" + base64.b64encode(b"x" * 32).decode(), "expected whsec_… (HMAC)"),
    ],
)
def test_a_key_that_is_none_is_refused_without_repeating_it(text, said):
    with pytest.raises(InvalidArgument) as refused:
        CallbackSettings(keys=(text,))
    assert said in str(refused.value)
    assert len(text) < 8 or text[8:] not in str(refused.value)


def test_settings_show_no_key():
    settings = CallbackSettings(keys=(OLD,), organization_keys={"org-a": (NEW,)})
    assert OLD not in repr(settings)
    assert NEW not in repr(settings)


def test_an_organization_with_keys_of_its_own_is_signed_with_those_alone():
    settings = CallbackSettings(keys=(OLD,), organization_keys={"org-a": (NEW,)})
    signed = headers(settings.keys_of("org-a"), "i", int(time.time()), BODY)
    Webhook(NEW).verify(BODY, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(BODY, signed)
    Webhook(OLD).verify(BODY, headers(settings.keys_of("org-b"), "i", int(time.time()), BODY))


def test_the_environment_gives_keys_and_switches(monkeypatch, tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{OLD}\norg-a {NEW}  # theirs\n\norg-a {OTHER}\n")
    monkeypatch.setenv("RUNLEDGER_CALLBACK_KEYS_FILE", str(file))
    monkeypatch.setenv("RUNLEDGER_CALLBACK_KEYS", f"{NEW} {OTHER}")
    monkeypatch.setenv("RUNLEDGER_CALLBACK_ALLOW_HTTP", "1")
    monkeypatch.setenv("RUNLEDGER_CALLBACK_ALLOWED_HOSTS", "hooks.internal other.internal")
    settings = CallbackSettings.from_environment(thin=True)
    assert settings.keys == (OLD, NEW, OTHER)
    assert settings.organization_keys == {"org-a": (NEW, OTHER)}
    assert (settings.allow_http, settings.allow_private_callbacks, settings.thin) == (
        *(True, False),
        True,
    )
    assert settings.allowed_hosts == {"hooks.internal", "other.internal"}
    assert CallbackSettings.from_environment(dispatch=False).keys == ()
    monkeypatch.setenv("RUNLEDGER_CALLBACK_ALLOW_HTTP", "perhaps")
    with pytest.raises(InvalidArgument, match="RUNLEDGER_CALLBACK_ALLOW_HTTP: expected 1 or 0"):
        CallbackSettings.from_environment()


def test_a_line_that_is_no_key_is_named_and_not_repeated(monkeypatch, tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"{OLD}\norg-a and {NEW}\n")
    with pytest.raises(InvalidArgument, match=r"line 2: expected KEY or ORGANIZATION KEY") as e:
        CallbackSettings.from_environment(keys_file=file)
    assert NEW not in str(e.value)
    with pytest.raises(InvalidArgument, match="No such file"):
        CallbackSettings.from_environment(keys_file=tmp_path / "none")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"calendar": ()}, "calendar"),
        ({"calendar": (0, -1)}, "calendar"),
        ({"jitter": 1}, "jitter"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"per_receiver": 0}, "per_receiver"),
    ],
)
def test_settings_that_could_not_work_are_refused(given, said):
    with pytest.raises(InvalidArgument, match=f"^{said}: expected"):
        CallbackSettings(**given)
