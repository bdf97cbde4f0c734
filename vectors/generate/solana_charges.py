"""Writes vectors/solana/charges.json: what the virtual machine of Solana took for messages.

Needs solders 0.29.0 from PyPI (MIT). Each message is executed by its `litesvm`, which charges fees
and rent by the code of the network; `taken` is what the fee payer has less afterwards. Run:
python vectors/generate/solana_charges.py
"""

import base64
import hashlib
import json
import pathlib
import struct

from solders import system_program as system
from solders.account import Account
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
PRECOMPILES = {
    "ed25519": Pubkey.from_string("Ed25519SigVerify111111111111111111111111111"),
    "secp256k1": Pubkey.from_string("KeccakSecp256k11111111111111111111111111111"),
}


def key(name):
    return Keypair.from_seed(hashlib.sha256(f"custody charges {name}".encode()).digest())


ME, SECOND, FRIEND = key("me"), key("second"), key("friend").pubkey()


def pay(lamports=1_000_000):
    target = key("receiver").pubkey()
    return system.transfer(dict(from_pubkey=ME.pubkey(), to_pubkey=target, lamports=lamports))


def create(program, mint, data):
    owner = FRIEND
    created = get_associated_token_address(owner, mint, program)
    accounts = [
        AccountMeta(ME.pubkey(), True, True),
        AccountMeta(created, False, True),
        AccountMeta(owner, False, False),
        AccountMeta(mint, False, False),
        AccountMeta(system.ID, False, False),
        AccountMeta(program, False, False),
    ]
    return Instruction(ASSOCIATED, data, accounts)


def with_mint(svm, program, name):
    mint = key(name).pubkey()
    data = struct.pack("<I32sQBBI32s", 1, bytes(ME.pubkey()), 0, 6, 1, 0, bytes(32))
    svm.set_account(mint, Account(10**9, data, program))
    return mint


def ed25519(count):
    """A verification of `count` signatures by the precompiled program."""
    message = b"verified"
    signer = key("signer")
    head = 2 + 14 * count
    body = bytes(signer.pubkey()) + bytes(signer.sign_message(message)) + message
    offsets = struct.pack("<HHHHHHH", head + 32, 0xFFFF, head, 0xFFFF, head + 96, len(message), 0xFFFF)
    return Instruction(PRECOMPILES["ed25519"], bytes([count, 0]) + offsets * count + body, [])


def cases():
    limit, price = set_compute_unit_limit, set_compute_unit_price
    yield "plain", [pay()], [], True
    yield "two payments", [pay(), pay(7)], [], True
    yield "two signers", [pay(), Instruction(MEMO, b"both", [AccountMeta(SECOND.pubkey(), True, False)])], [SECOND], True
    for units in (10_000, 200_000, 1_400_000, 2**32 - 1):
        for micro in (0, 1, 999_999, 1_000_000, 1_000_001):
            yield f"limit {units}, price {micro}", [limit(units), price(micro), pay()], [], True
    for micro in (1, 1_000_000, 1_000_001):
        yield f"price {micro} alone", [price(micro), pay()], [], False
        yield f"price {micro} and a memo", [price(micro), pay(), Instruction(MEMO, b"memo", [])], [], False
    yield "a limit alone", [limit(5_000), pay()], [], True
    for count in (1, 2, 3):
        yield f"{count} verified", [ed25519(count), pay()], [], True
    for program, name in ((TOKEN, "token"), (TOKEN_2022, "token-2022")):
        for data in (b"\0", b"\1"):
            yield f"account of {name}, {data[0]}", (program, data), [], program == TOKEN


def run(name, instructions, others, exact):
    svm = LiteSVM()
    svm.airdrop(ME.pubkey(), 100 * 10**9)
    svm.airdrop(key("receiver").pubkey(), 10**9)
    if isinstance(instructions, tuple):
        program, data = instructions
        instructions = [create(program, with_mint(svm, program, "mint"), data)]
    message = Message.new_with_blockhash(instructions, ME.pubkey(), svm.latest_blockhash())
    before = svm.get_balance(ME.pubkey())
    done = svm.send_transaction(VersionedTransaction(message, [ME] + others))
    assert not isinstance(done, FailedTransactionMetadata), (name, done)
    taken = before - svm.get_balance(ME.pubkey())
    text = base64.b64encode(to_bytes_versioned(message)).decode()
    return {"name": name, "seed": bytes(ME.secret()).hex(), "message": text, "taken": taken, "exact": exact}


def main():
    done = [run(*case) for case in cases()]
    target = pathlib.Path(__file__).parent.parent / "solana" / "charges.json"
    target.write_text(json.dumps(done, indent=1) + "\n")
    print(len(done))


if __name__ == "__main__":
    main()
