"""Trust: outside.

Cryptography on secrets, with libsodium working directly on secret memory: no copy of a key is made on the
heap (PyNaCl's own classes would copy it into bytes objects).

Rules:
 1. Derived secret keys live in secret memory too.
 2. An exclave that uses this names `packages = ["pynacl"]` in its table.
"""

from __future__ import annotations

from typing import Final

from nacl._sodium import ffi, lib

from exclave.linux import calls
from exclave.runtime.secret import Secret

SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
ARGON2ID: Final = 2
OPSLIMIT: Final = 2
MEMLIMIT: Final = 64 * 1024 * 1024

if lib.sodium_init() < 0:
    raise ImportError("libsodium cannot be initialised")

_scratch = calls.secret_memory(HASH_BYTES).view[:HASH_BYTES]


class Ed25519Key:
    """An Ed25519 signing key (RFC 8032) made from a secret of exactly 32 bytes.

    Args:
        secret: the seed, in secret memory.

    Raises:
        ValueError: the secret is not 32 bytes; the operator's fault.
    """

    def __init__(self, secret: Secret) -> None:
        if len(secret) != SEED_BYTES:
            raise ValueError(
                f'the secret "{secret.name}" is {len(secret)} bytes; an Ed25519 seed has {SEED_BYTES}'
            )
        self._memory = calls.secret_memory(2 * SEED_BYTES).view[: 2 * SEED_BYTES]
        public = ffi.new("unsigned char[]", SEED_BYTES)
        lib.crypto_sign_seed_keypair(public, ffi.from_buffer(self._memory), ffi.from_buffer(secret.view()))
        self.public_key = bytes(ffi.buffer(public))

    def sign(self, message: bytes) -> bytes:
        """Sign a message; 64 bytes, deterministic."""
        signed = ffi.new("unsigned char[]", SIGNATURE_BYTES + len(message))
        lib.crypto_sign(signed, ffi.NULL, message, len(message), ffi.from_buffer(self._memory))
        return bytes(ffi.buffer(signed, SIGNATURE_BYTES))


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the Ed25519 signature of `message` under `public_key`."""
    if len(public_key) != SEED_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    opened = ffi.new("unsigned char[]", SIGNATURE_BYTES + len(message))
    length = ffi.new("unsigned long long *")
    signed = signature + message
    return bool(lib.crypto_sign_open(opened, length, signed, len(signed), public_key) == 0)


def argon2id(secret: Secret, password: bytes, salt: bytes) -> bytes:
    """Hash a password with Argon2id (RFC 9106) after keying it with a pepper.

    The pepper enters as the key of BLAKE2b over the password, so that a stolen table of hashes cannot be
    searched without it.

    Args:
        secret: the pepper, 16 to 64 bytes.
        password: as typed, any length.
        salt: 16 bytes, another for each password.

    Returns:
        32 bytes.

    Raises:
        ValueError: a wrong length of pepper or salt.
        MemoryError: the exclave's memory limit leaves no room for the 64 MiB that Argon2id uses here.
    """
    if not 16 <= len(secret) <= 64:
        raise ValueError(f'the secret "{secret.name}" is {len(secret)} bytes; a pepper has 16 to 64')
    if len(salt) != SALT_BYTES:
        raise ValueError(f"the salt is {len(salt)} bytes, not {SALT_BYTES}")
    try:
        keyed = ffi.from_buffer(_scratch)
        pepper = ffi.from_buffer(secret.view())
        lib.crypto_generichash_blake2b_salt_personal(
            keyed, HASH_BYTES, password, len(password), pepper, len(secret), ffi.NULL, ffi.NULL
        )
        out = ffi.new("unsigned char[]", HASH_BYTES)
        status = lib.crypto_pwhash(out, HASH_BYTES, keyed, HASH_BYTES, salt, OPSLIMIT, MEMLIMIT, ARGON2ID)
    finally:
        _scratch[:] = bytes(HASH_BYTES)
    if status != 0:
        raise MemoryError("Argon2id needs 64 MiB; raise `memory` of this exclave")
    return bytes(ffi.buffer(out))
