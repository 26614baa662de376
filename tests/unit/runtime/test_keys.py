from __future__ import annotations

import hashlib

import nacl.pwhash
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.linux import calls
from exclave.runtime import keys as subject
from exclave.runtime.keys import Ed25519Key, argon2id, verify_ed25519
from exclave.runtime.secret import Secret


def secret(content: bytes) -> Secret:
    memory = calls.secret_memory(max(1, len(content))).view[: len(content)]
    memory[:] = content
    return Secret("key", memory)


# RFC 8032, section 7.1: tests 1, 2, 3 and SHA(abc). Seed, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_signatures_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    key = Ed25519Key(secret(bytes.fromhex(seed)))
    assert key.public_key.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert verify_ed25519(key.public_key, bytes.fromhex(message), bytes.fromhex(signature))


KEY = Ed25519Key(secret(bytes(range(32))))


@given(st.binary(max_size=300))
def test_what_was_signed_verifies_and_nothing_else(message: bytes) -> None:
    signature = KEY.sign(message)
    assert verify_ed25519(KEY.public_key, message, signature)
    assert not verify_ed25519(KEY.public_key, message + b"x", signature)
    assert not verify_ed25519(KEY.public_key, message, signature[:-1] + bytes([signature[-1] ^ 1]))
    assert not verify_ed25519(bytes(32), message, signature)


@pytest.mark.parametrize(
    ("public", "signature"),
    [
        (b"", bytes(64)),
        (bytes(31), bytes(64)),
        (bytes(33), bytes(64)),
        (bytes(32), b""),
        (bytes(32), bytes(65)),
    ],
)
def test_key_or_signature_of_another_size_does_not_verify(public: bytes, signature: bytes) -> None:
    assert not verify_ed25519(public, b"message", signature)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_seed_of_another_size_is_refused_by_name(size: int) -> None:
    with pytest.raises(ValueError, match=f'the secret "key" is {size} bytes; an Ed25519 seed has 32'):
        Ed25519Key(secret(bytes(size)))


def test_key_shows_nothing_of_its_secret() -> None:
    assert bytes(range(32)).hex() not in repr(KEY)
    assert KEY._memory[:32] == bytes(range(32))


def test_argon2id_is_what_libsodium_computes_of_the_keyed_password() -> None:
    """Against PyNaCl's own binding, and hashlib's BLAKE2b for the pepper."""
    pepper, salt = b"a pepper of thirty-two bytes, yes", bytes(range(16))
    keyed = hashlib.blake2b(b"password", digest_size=32, key=pepper).digest()
    expected = nacl.pwhash.argon2id.kdf(32, keyed, salt, subject.OPSLIMIT, subject.MEMLIMIT)
    assert argon2id(secret(pepper), b"password", salt) == expected
    assert subject._scratch == bytes(32)


def test_argon2id_depends_on_pepper_password_and_salt() -> None:
    base = (b"p" * 16, b"password", b"s" * 16)
    others = [(b"q" * 16, *base[1:]), (base[0], b"Password", base[2]), (*base[:2], b"t" * 16)]
    hashes = [argon2id(secret(pepper), password, salt) for pepper, password, salt in (base, *others)]
    assert len(set(hashes)) == 4
    assert argon2id(secret(base[0]), *base[1:]) == hashes[0]


@pytest.mark.parametrize("size", [0, 15, 65])
def test_pepper_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f'the secret "key" is {size} bytes; a pepper has 16 to 64'):
        argon2id(secret(bytes(size)), b"", bytes(16))


@pytest.mark.parametrize("size", [0, 15, 17])
def test_salt_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"the salt is {size} bytes, not 16"):
        argon2id(secret(bytes(16)), b"", bytes(size))
