"""Writes ../slip10/slip10.json: SLIP-10 derivations for secp256k1 and ed25519.

Every case is computed twice, by bip_utils and by the forty lines below, and is written only if
both agree. Run with `bip_utils` and `cryptography` installed: `python3 slip10.py`.
"""

import hashlib
import hmac
import json
from pathlib import Path

from bip_utils import Bip32KeyIndex, Bip32Slip10Ed25519, Bip32Slip10Secp256k1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HARDENED = 0x80000000
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
LABELS = {"secp256k1": b"Bitcoin seed", "ed25519": b"ed25519 seed"}
LIBRARY = {"secp256k1": Bip32Slip10Secp256k1, "ed25519": Bip32Slip10Ed25519}

SEEDS = [
    bytes(range(16)),
    bytes(16),
    b"\xff" * 64,
    *(hashlib.sha512(f"custody slip10 {n}".encode()).digest()[:size]
      for n, size in enumerate([16, 20, 24, 28, 32, 33, 48, 64])),
]
PATHS = {
    "secp256k1": ["m", "m/0'", "m/0", "m/44'/60'/0'/0/0", "m/44'/0'/2147483647'/1/2147483647",
                  "m/1'/2/3'/4/5'/6/7'/8"],
    "ed25519": ["m", "m/0'", "m/44'/501'/0'/0'", "m/2147483647'/0'/2147483646'/1'",
                "m/1'/2'/3'/4'/5'/6'/7'/8'"],
}
REFUSED = [
    ("ed25519", "m/0", "ed25519 has no normal derivation"),
    ("ed25519", "m/44'/501'/0'/0", "ed25519 has no normal derivation"),
    ("ed25519", "m/2147483647", "ed25519 has no normal derivation"),
    ("secp256k1", "m/2147483648", "index above 2^31 - 1"),
    ("secp256k1", "m/2147483648'", "index above 2^31 - 1"),
    ("secp256k1", "m/-1", "negative index"),
    ("secp256k1", "m//0", "empty step"),
    ("secp256k1", "m/0/", "empty step"),
]


def public_key(curve, private):
    if curve == "ed25519":
        key = Ed25519PrivateKey.from_private_bytes(private).public_key()
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    key = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256K1()).public_key()
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def digest(key, data):
    full = hmac.new(key, data, hashlib.sha512).digest()
    return full[:32], full[32:]


def master(curve, seed):
    left, right = digest(LABELS[curve], seed)
    while curve == "secp256k1" and not 0 < int.from_bytes(left, "big") < ORDER:
        left, right = digest(LABELS[curve], left + right)
    return left, right


def child(curve, private, chain_code, index):
    hardened = index >= HARDENED
    assert hardened or curve != "ed25519"
    head = b"\x00" + private if hardened else public_key(curve, private)
    suffix = index.to_bytes(4, "big")
    left, right = digest(chain_code, head + suffix)
    if curve == "ed25519":
        return left, right
    while True:
        number = int.from_bytes(left, "big")
        scalar = (number + int.from_bytes(private, "big")) % ORDER
        if number < ORDER and scalar:
            return scalar.to_bytes(32, "big"), right
        left, right = digest(chain_code, b"\x01" + right + suffix)


def indices(path):
    return [int(step.rstrip("'")) + (HARDENED if step.endswith("'") else 0)
            for step in path.split("/")[1:]]


def derive(curve, seed, path):
    private, chain_code = master(curve, seed)
    for index in indices(path):
        private, chain_code = child(curve, private, chain_code, index)
    return private, chain_code, public_key(curve, private)


def library(curve, seed, path):
    node = LIBRARY[curve].FromSeed(seed)
    for index in indices(path):
        node = node.ChildKey(Bip32KeyIndex(index))
    public = node.PublicKey().RawCompressed().ToBytes()
    if curve == "ed25519":
        assert public[0] == 0
        public = public[1:]
    return node.PrivateKey().Raw().ToBytes(), node.ChainCode().ToBytes(), public


def leading_zero_paths(curve, seed):
    """A parent key that starts with a zero byte, and its child: the zero must not be dropped."""
    for index in range(100_000):
        parent = f"m/{index}'"
        if derive(curve, seed, parent)[0][0] == 0:
            return [parent, parent + "/0'"]
    raise AssertionError("no leading zero found")


def case(curve, seed, path):
    ours = derive(curve, seed, path)
    assert ours == library(curve, seed, path), (curve, seed.hex(), path)
    private, chain_code, public = ours
    return {"curve": curve, "seed": seed.hex(), "path": path, "chain_code": chain_code.hex(),
            "private_key": private.hex(), "public_key": public.hex()}


def main():
    derived = []
    for curve, paths in PATHS.items():
        for number, seed in enumerate(SEEDS):
            chosen = {paths[number % len(paths)], paths[(number + 3) % len(paths)]}
            derived += [case(curve, seed, path) for path in sorted(chosen)]
        derived += [case(curve, SEEDS[3], path) for path in leading_zero_paths(curve, SEEDS[3])]
    refused = [{"curve": curve, "seed": SEEDS[3].hex(), "path": path, "why": why}
               for curve, path, why in REFUSED]
    target = Path(__file__).resolve().parent.parent / "slip10" / "slip10.json"
    text = json.dumps({"derived": derived, "refused": refused}, indent=1)
    target.write_text(text + "\n")
    print(len(derived), "derived and", len(refused), "refused cases")


if __name__ == "__main__":
    main()
