"""Writes ../slip10/p256.json: SLIP-10 derivations for nist256p1, and what its retry rule gives.

Every derivation is computed twice, by bip_utils 2.12.3 and by the lines below, and is written only
if both agree. No seed is known here whose first try fails, and finding one takes 2^32 tries, so the
retries start from a failed try that is made up: `left` is not below the order, or gives the key
zero. Run with `bip_utils` and `cryptography` installed: `python3 slip10_p256.py`.
"""

import hashlib
import hmac
import json
from pathlib import Path

from bip_utils import Bip32KeyIndex, Bip32Slip10Nist256p1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HARDENED = 0x80000000
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
LABEL = b"Nist256p1 seed"
SEEDS = [
    bytes(16),
    b"\xff" * 64,
    *(hashlib.sha512(f"custody slip10 p256 {n}".encode()).digest()[:size]
      for n, size in enumerate([16, 20, 24, 28, 32, 33, 48, 64])),
]
PATHS = ["m", "m/0'", "m/0", "m/44'/501'/0'/0'", "m/2147483647'/2147483647", "m/1'/2/3'/4/5'/6/7'/8"]


def digest(key, data):
    full = hmac.new(key, data, hashlib.sha512).digest()
    return full[:32], full[32:]


def public_key(private):
    key = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def master(left, right):
    while not 0 < int.from_bytes(left, "big") < ORDER:
        left, right = digest(LABEL, left + right)
    return left, right


def child(private, chain_code, index, left, right):
    while True:
        number = int.from_bytes(left, "big")
        scalar = (number + int.from_bytes(private, "big")) % ORDER
        if number < ORDER and scalar:
            return scalar.to_bytes(32, "big"), right
        left, right = digest(chain_code, b"\x01" + right + index.to_bytes(4, "big"))


def indices(path):
    return [int(step.rstrip("'")) + (HARDENED if step.endswith("'") else 0)
            for step in path.split("/")[1:]]


def derive(seed, path):
    private, chain_code = master(*digest(LABEL, seed))
    for index in indices(path):
        head = b"\x00" + private if index >= HARDENED else public_key(private)
        first = digest(chain_code, head + index.to_bytes(4, "big"))
        private, chain_code = child(private, chain_code, index, *first)
    return private, chain_code, public_key(private)


def library(seed, path):
    node = Bip32Slip10Nist256p1.FromSeed(seed)
    for index in indices(path):
        node = node.ChildKey(Bip32KeyIndex(index))
    return (node.PrivateKey().Raw().ToBytes(), node.ChainCode().ToBytes(),
            node.PublicKey().RawCompressed().ToBytes())


def case(seed, path):
    private, chain_code, public = derive(seed, path)
    assert (private, chain_code, public) == library(seed, path), (seed.hex(), path)
    return {"seed": seed.hex(), "path": path, "chain_code": chain_code.hex(),
            "private_key": private.hex(), "public_key": public.hex()}


def retries():
    right = hashlib.sha256(b"custody slip10 p256 right").digest()
    parent = hashlib.sha256(b"custody slip10 p256 parent").digest()
    chain_code = hashlib.sha256(b"custody slip10 p256 chain code").digest()
    order, last = ORDER.to_bytes(32, "big"), b"\xff" * 32
    for left in (bytes(32), order, last):
        private, code = master(left, right)
        yield {"parent": None, "left": left.hex(), "right": right.hex(),
               "private_key": private.hex(), "chain_code": code.hex()}
    opposite = (ORDER - int.from_bytes(parent, "big")).to_bytes(32, "big")
    for left in (order, last, opposite):
        for index in (0, 7, HARDENED, HARDENED + 7):
            private, code = child(parent, chain_code, index, left, right)
            yield {"parent": [parent.hex(), chain_code.hex(), index], "left": left.hex(),
                   "right": right.hex(), "private_key": private.hex(), "chain_code": code.hex()}


def main():
    derived = [case(seed, path) for seed in SEEDS for path in PATHS]
    target = Path(__file__).resolve().parent.parent / "slip10" / "p256.json"
    target.write_text(json.dumps({"derived": derived, "retried": list(retries())}, indent=1) + "\n")


if __name__ == "__main__":
    main()
