"""Who else can write a store cannot forge a value."""

import hmac
import pickle
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.errors import ConfigurationError
from holdover.regions.codecs import JsonCodec, PickleCodec
from holdover.regions.compression import Compression
from holdover.regions.decoding import Unreadable
from holdover.regions.envelope import (
    MAGIC,
    TRAILER_SIZE,
    Entry,
    fence_of,
    open_sealed,
    seal,
)
from holdover.regions.lifetime import Lifetime
from holdover.regions.signing import MAC_SIZE, Keyring

OLD, NEW, OTHER = ("old secret " * 2, "new secret " * 2, "other secret " * 2)
KEY = "region:key"
PICKLE = PickleCodec()
FLAGS_FROM_END = 8 + 4 + 4 + 1  # behind them: codec's tag, checksum and magic


def signer(*secrets, purpose="envelope", region="region"):
    """Make what signs for a region."""
    return Keyring.of(list(secrets) or NEW).signer(purpose, region)


SIGNER = signer()


def signed(value="v", key=KEY, by=SIGNER, codec=PICKLE, compression=None, **known):
    """Give a signed envelope around *value*."""
    entry = Entry(value, created_at=1.0, fence=7, **known)
    return seal(entry, key, codec, by, compression)


def opened(raw, key=KEY, by=SIGNER, codec=PICKLE):
    """Open an envelope."""
    return open_sealed(raw, key, codec, by)


class Bomb:
    """Unpickling one of these is noticed."""

    went_off = False

    def __reduce__(self):
        return setattr, (Bomb, "went_off", True)


@pytest.fixture
def bomb(monkeypatch):
    """Give a pickle that must never be loaded."""
    monkeypatch.setattr(Bomb, "went_off", False)
    yield pickle.dumps(Bomb())
    assert not Bomb.went_off


@given(
    st.binary(max_size=2_000),
    st.text(st.characters(), max_size=600),
    st.none() | st.builds(Lifetime, expiration_time=st.floats(1, 1e6)),
    st.lists(st.text(max_size=5), max_size=3).map(tuple),
    st.sampled_from([None, Compression(above=10, algorithm="zlib"), Compression()]),
)
def test_round_trip(value, key, lifetime, tags, compression):
    """Everything that is known of a value survives being signed."""
    entry = Entry(value, 1.0, 2.0, 3, 4, 5.0, lifetime, tags)
    raw = seal(entry, key, PICKLE, SIGNER, compression)
    assert entry == opened(raw, key)
    assert fence_of(raw) == fence_of(raw[-TRAILER_SIZE:]) == 3


# -- damage and forgery --------------------------------------------------------


@pytest.mark.parametrize("compression", [None, Compression(above=1, algorithm="zlib")])
def test_every_flipped_bit_is_noticed(compression):
    """One wrong bit anywhere, in the signature too, makes it no value."""
    own = Lifetime(expiration_time=1)
    raw = signed("v" * 99, compression=compression, tags=("t",), lifetime=own)
    assert (raw[-FLAGS_FROM_END] & 2 != 0) == (compression is not None)
    for position in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(Unreadable):
            opened(bytes(damaged))


def test_every_truncation_is_noticed():
    """So does a piece that is missing, wherever."""
    raw = signed(list(range(50)), tags=("a", "b"))
    for cut in range(len(raw)):
        for part in (raw[:cut], raw[len(raw) - cut :], raw[:cut] + raw[cut + 1 :]):
            with pytest.raises(Unreadable):
                opened(part)


@given(st.data())
def test_any_change_is_noticed(data):
    """And bytes changed, added, taken or moved in any way."""
    raw = signed("some value", tags=("t",))
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    changed = raw[:start] + data.draw(st.binary(max_size=100)) + raw[end:]
    if changed == raw:
        return
    with pytest.raises(Unreadable):
        opened(changed)


@given(st.binary(max_size=300), st.binary(min_size=MAC_SIZE, max_size=MAC_SIZE))
def test_no_forgery_is_taken(payload, mac):
    """A payload of the forger's choice is refused, whatever he puts for a signature."""
    genuine = signed()
    forged = seal(Entry(payload, 1.0), KEY, PICKLE, signer(OTHER))
    trailer = forged[-TRAILER_SIZE:]
    body = forged[: -TRAILER_SIZE - MAC_SIZE]
    known = genuine[-TRAILER_SIZE - MAC_SIZE : -TRAILER_SIZE]
    for guess in (mac, known, bytes(MAC_SIZE), b"", forged[-100:-TRAILER_SIZE]):
        with pytest.raises(Unreadable):
            opened(body + guess + trailer)


def test_a_forged_pickle_is_never_run(bomb):
    """The signature is verified before anything is decoded."""
    codec = PickleCodec()
    codec.dumps = lambda value: bomb
    by_another = signed(by=signer(OTHER), codec=codec)
    unsigned = signed(by=None, codec=codec)
    pasted = bomb + signed()
    moved = signed(key="region:other", codec=codec)
    for forged in (by_another, unsigned, pasted, moved):
        with pytest.raises(Unreadable):
            opened(forged)


def test_the_signature_cannot_be_stripped():
    """Turning a signed value into an unsigned one, or back, makes it no value."""
    raw = signed()
    body = raw[: -TRAILER_SIZE - MAC_SIZE]
    trailer = bytearray(raw[-TRAILER_SIZE:])
    assert trailer[-FLAGS_FROM_END] == 4
    trailer[-FLAGS_FROM_END] = 0
    checked = bytes(trailer[:-8])
    crc = zlib.crc32(checked, zlib.crc32(body)).to_bytes(4, "little")
    stripped = body + checked + crc + MAGIC
    assert open_sealed(stripped, KEY, PICKLE).value == "v"  # what it was made for
    with pytest.raises(Unreadable, match="not signed"):
        opened(stripped)


def test_signed_and_unsigned_do_not_mix():
    """A signed region reads only signed values, an unsigned one only unsigned ones."""
    with pytest.raises(Unreadable, match="not signed"):
        opened(signed(by=None))
    with pytest.raises(Unreadable, match="no secret is set"):
        opened(signed(), by=None)


# -- what is signed ------------------------------------------------------------


@given(
    st.text(st.characters(), min_size=1, max_size=700),
    st.text(st.characters(), min_size=1, max_size=700),
)
def test_another_key_s_value(one, other):
    """A value signed for one key is no value under another."""
    raw = signed(key=one)
    assert opened(raw, key=one).value == "v"
    if one != other:
        with pytest.raises(Unreadable):
            opened(raw, key=other)


def test_the_whole_key_is_signed():
    """Even where its echo would be the same: of a key and the digest it shortens to."""
    key = "k" * 600
    raw = signed(key=key)
    echo = raw[len(pickle.dumps("v", -1)) :][:32].decode("latin-1")
    with pytest.raises(Unreadable, match="another key"):
        opened(raw, key=echo)


def test_another_region_s_value():
    """Regions sign with keys of their own, though they share the secret."""
    elsewhere = signer(region="other")
    with pytest.raises(Unreadable, match="none of the secrets"):
        opened(signed(by=elsewhere))


def test_another_purpose():
    """What was signed for something else by the same secret is worth nothing here."""
    session = signer(purpose="session")
    with pytest.raises(Unreadable, match="none of the secrets"):
        opened(signed(by=session))
    assert len({by.sign(b"x") for by in (session, SIGNER, signer(region="r"))}) == 3


def test_another_codec_s_value():
    """A signature does not make a region read another codec's bytes."""
    with pytest.raises(Unreadable, match="codec"):
        opened(signed(codec=JsonCodec()))


# -- the keyring ---------------------------------------------------------------


def test_the_first_secret_signs():
    """A new secret in front signs; those behind it still verify."""
    before, during, after = signer(OLD), signer(NEW, OLD), signer(NEW)
    assert opened(signed(by=before), by=during).value == "v"
    assert opened(signed(by=during), by=during).value == "v"
    assert opened(signed(by=during), by=after).value == "v"
    with pytest.raises(Unreadable):
        opened(signed(by=during), by=before)


def test_a_removed_secret():
    """Once it is dropped, what it signed is no value any more."""
    with pytest.raises(Unreadable, match="none of the secrets"):
        opened(signed(by=signer(OLD)), by=signer(NEW))


def test_text_and_bytes_are_alike():
    """A secret from a file of bytes is the one from a text."""
    by_bytes = Keyring.of(NEW.encode()).signer("envelope", "region")
    assert opened(signed(), by=by_bytes).value == "v"


@pytest.mark.parametrize("secret", [None], ids=repr)
def test_no_secret(secret):
    """None means unsigned."""
    assert Keyring.of(secret) is None


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ("", "at least 16 bytes, got 0"),
        ("fifteen letters", "got 15"),
        (b"fifteen letters", "got 15"),
        ([NEW, "short"], "got 5"),
        ([], "empty list"),
        ((), "empty list"),
        (True, "got bool"),
        (12345678901234567, "got int"),
        ({"a": NEW}, "got dict"),
        ([NEW, None], "got NoneType"),
    ],
)
def test_a_secret_that_is_none(secret, message):
    """A secret too short or no secret at all is told when the region is configured."""
    with pytest.raises(ConfigurationError, match=message):
        Keyring.of(secret)


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_a_signature_is_hmac_sha256(parts):
    """It is what Python's own gives for the same key, however a text is parted."""
    label = b"holdover\0envelope\0region"
    key = hmac.digest(NEW.encode(), label, "sha256")
    assert SIGNER.sign(*parts) == hmac.digest(key, b"".join(parts), "sha256")


def test_secrets_are_not_shown():
    """Neither errors nor representations repeat a secret."""
    with pytest.raises(ConfigurationError) as caught:
        Keyring.of([NEW, "hunter2"])
    assert "hunter2" not in str(caught.value)
    assert NEW not in repr(Keyring.of(NEW))
