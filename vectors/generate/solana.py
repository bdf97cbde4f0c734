"""Writes vectors/solana/messages.json.gz: messages of Solana transactions and what they do.

Needs solders 0.29.0 from PyPI (MIT). Its seed is 4; every run writes the same bytes. What a message
does is found out here by reading its bytes again with solders, and shares no code with the decoder
that is tested: `effects` are the lines that the tests of custody-chain print, without the chain.

Run: python vectors/generate/solana.py [FOLDER]
"""

import base64
import gzip
import hashlib
import json
import pathlib
import random
import struct
import sys

from solders import system_program as system
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0, from_bytes_versioned, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address

SEED = 4
COUNT = 400
random_source = random.Random(SEED)

SYSTEM = system.ID
BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
STAKE = Pubkey.from_string("Stake11111111111111111111111111111111111111")
TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
PRECOMPILES = [
    Pubkey.from_string("Ed25519SigVerify111111111111111111111111111"),
    Pubkey.from_string("KeccakSecp256k11111111111111111111111111111"),
    Pubkey.from_string("Secp256r1SigVerify1111111111111111111111111"),
]
RENT = {TOKEN: 2_039_280, TOKEN_2022: 4_454_400}


def some_bytes(length):
    return bytes(random_source.randrange(256) for _ in range(length))


def some_key():
    return Keypair.from_seed(some_bytes(32))


def some_address():
    return some_key().pubkey()


def some_amount():
    return random_source.choice([0, 1, 5_000, 10**9, 2**53 + 1, 2**64 - 1, random_source.getrandbits(64)])


def meta(address, signer=False, writable=True):
    return AccountMeta(address, signer, writable)


def built(program, data, accounts):
    return Instruction(program, data, [meta(account) for account in accounts])


# Building: one function for each kind of instruction.


def build_system(me):
    other, third = some_address(), some_address()
    amount = some_amount()
    seed = random_source.choice(["", "stake:0", "x" * 32])
    derived = Pubkey.create_with_seed(third, seed, STAKE)
    nonce = dict(nonce_pubkey=other, authorized_pubkey=me)
    return random_source.choice(
        [
            lambda: system.transfer(dict(from_pubkey=me, to_pubkey=other, lamports=amount)),
            lambda: system.create_account(
                dict(from_pubkey=me, to_pubkey=other, lamports=amount, space=200, owner=STAKE)
            ),
            lambda: system.create_account_with_seed(
                dict(
                    from_pubkey=me,
                    to_pubkey=derived,
                    base=third,
                    seed=seed,
                    lamports=amount,
                    space=200,
                    owner=STAKE,
                )
            ),
            lambda: system.assign(dict(pubkey=me, owner=other)),
            lambda: system.assign_with_seed(dict(address=derived, base=third, seed=seed, owner=STAKE)),
            lambda: system.allocate(dict(pubkey=me, space=amount)),
            lambda: system.allocate_with_seed(
                dict(address=derived, base=third, seed=seed, space=80, owner=STAKE)
            ),
            lambda: system.transfer_with_seed(
                dict(
                    from_pubkey=derived,
                    from_base=third,
                    from_seed=seed,
                    from_owner=STAKE,
                    to_pubkey=other,
                    lamports=amount,
                )
            ),
            lambda: system.advance_nonce_account(nonce),
            lambda: system.withdraw_nonce_account(nonce | dict(to_pubkey=third, lamports=amount)),
            lambda: system.authorize_nonce_account(nonce | dict(new_authority=third)),
            lambda: system.initialize_nonce_account(dict(nonce_pubkey=other, authority=me)),
            lambda: Instruction(SYSTEM, struct.pack("<IQ", 2, amount) + b"\0", [meta(me), meta(other)]),
            lambda: Instruction(SYSTEM, struct.pack("<IQ", 2, amount), [meta(me)]),
        ]
    )()


def build_token(me):
    program = random_source.choice([TOKEN, TOKEN, TOKEN_2022])
    mint, friend = some_address(), some_address()
    mine = get_associated_token_address(me, mint, program)
    theirs = get_associated_token_address(friend, mint, program)
    amount = some_amount()
    create = built(
        ASSOCIATED,
        random_source.choice([b"", b"\0", b"\1"]),
        [me, theirs, friend, mint, SYSTEM, program],
    )
    decimals = bytes([random_source.randrange(10)])
    number = struct.pack("<Q", amount)
    key = bytes(some_address())
    send = built(program, b"\x0c" + number + decimals, [mine, mint, theirs, me])
    tail = random_source.choice([[], [], [some_address()]])
    return random_source.choice(
        [
            lambda: [send],
            lambda: [create, send],
            lambda: [send, create],
            lambda: [built(program, b"\x0c" + number + decimals, [some_address(), mint, mine, friend] + tail)],
            lambda: [built(program, b"\x03" + number, [mine, theirs, me])],
            lambda: [built(program, b"\x04" + number, [mine, friend, me])],
            lambda: [built(program, b"\x0d" + number + decimals, [mine, mint, friend, me])],
            lambda: [built(program, b"\x07" + number, [mint, theirs, me])],
            lambda: [built(program, b"\x0e" + number + decimals, [mint, mine, me])],
            lambda: [built(program, b"\x08" + number, [mine, mint, me])],
            lambda: [built(program, b"\x09", [mine, me, me])],
            lambda: [built(program, b"\x06\x02\x01" + key, [mine, me])],
            lambda: [built(program, b"\x06\x00\x00", [mint, me])],
            lambda: [built(program, b"\x12" + key, [theirs, mint])],
            lambda: [built(program, b"\x14" + decimals + key + b"\0", [mint])],
            lambda: [built(program, b"\x0a", [theirs, mint, me])],
            lambda: [built(program, b"\x23" + key, [mint])],
            lambda: [built(program, b"\x1a\x01" + number + decimals + bytes(8), [mine, mint, theirs, me])],
            lambda: [built(program, b"\x0c" + number, [mine, mint, theirs, me])],
            lambda: [built(program, b"\xff" + number, [mine, mint, theirs, me])],
        ]
    )()


def build_stake(me):
    stake, second, new = some_address(), some_address(), some_address()
    number = struct.pack("<Q", some_amount())
    role = random_source.choice([b"\0\0\0\0", b"\1\0\0\0"])
    return random_source.choice(
        [
            lambda: built(STAKE, b"\1\0\0\0" + bytes(new) + role, [stake, SYSTEM, me]),
            lambda: built(STAKE, b"\2\0\0\0", [stake, second, me]),
            lambda: built(STAKE, b"\3\0\0\0" + number, [stake, second, me]),
            lambda: built(STAKE, b"\4\0\0\0" + number, [stake, second, me]),
            lambda: built(STAKE, b"\5\0\0\0", [stake, SYSTEM, me]),
            lambda: built(STAKE, b"\7\0\0\0", [stake, second, me]),
            lambda: built(STAKE, b"\3\0\0\0" + number + b"\0", [stake, second, me]),
        ]
    )()


def build_other(me):
    accounts = [some_address() for _ in range(random_source.randrange(4))] + [me]
    text = random_source.choice(["", "invoice 7", "Müller ✓", "two\nlines", "long " * 60]).encode()
    return random_source.choice(
        [
            lambda: built(MEMO, text, []),
            lambda: built(MEMO, b"\xff\xfe", []),
            lambda: built(some_address(), some_bytes(random_source.choice([0, 1, 7, 8, 128, 129, 200])), accounts),
            lambda: built(random_source.choice(PRECOMPILES), bytes([random_source.randrange(4), 0]), []),
        ]
    )()


def build_budget():
    chosen = random_source.randrange(4)
    price = random_source.choice([0, 1, 999_999, 1_000_000, 2**40, 2**64 - 1])
    limit = random_source.choice([0, 1, 200_000, 1_400_000, 2**32 - 1])
    if chosen == 0:
        return []
    if chosen == 1:
        return [set_compute_unit_price(price)]
    return [set_compute_unit_limit(limit), set_compute_unit_price(price)]


# Reading: the bytes again, and what they do.


class Told:
    def __init__(self, ours):
        self.ours, self.lines, self.facts, self.owners = ours, [], set(), {}

    def lamports(self, source, target, amount):
        if not target.is_on_curve():
            self.facts.add("off_curve_destination")
        self.lines.append(f"transfer {amount} /slip44:501 {source} {target}")

    def tokens(self, source, target, mint, amount):
        self.lines.append(f"transfer {amount} /token:{mint} {source} {target}")

    def line(self, verb, target, selector, named):
        text = "".join(f" {name}={named[name]}" for name in sorted(named))
        prefix = "0x" + selector.hex() if selector else ""
        self.lines.append(f"{verb} {target} {prefix}{text}")

    def holder(self, program, mint, account):
        if account in self.owners:
            return self.owners[account]
        own = [me for me in self.ours if get_associated_token_address(me, mint, program) == account]
        return own[0] if own else None

    def call(self, ix, accounts, head):
        data = bytes(ix.data)
        named = {"accounts": len(accounts)}
        named["data"] = data.hex() if len(data) <= 128 else "sha256:" + hashlib.sha256(data).hexdigest()
        named |= {f"account_{index}": account for index, account in enumerate(accounts)}
        self.line("call", ix.program_id, data[:head], named)


def read_system(told, ix, accounts):
    data = bytes(ix.data)
    number = struct.unpack("<I", data[:4])[0]
    shapes = {
        0: (system.decode_create_account, 2),
        1: (system.decode_assign, 1),
        2: (system.decode_transfer, 2),
        3: (system.decode_create_account_with_seed, 2),
        4: (system.decode_advance_nonce_account, 3),
        5: (system.decode_withdraw_nonce_account, 2),
        6: (system.decode_initialize_nonce_account, 1),
        7: (system.decode_authorize_nonce_account, 1),
        8: (system.decode_allocate, 1),
        9: (system.decode_allocate_with_seed, 1),
        10: (system.decode_assign_with_seed, 1),
        11: (system.decode_transfer_with_seed, 3),
    }
    decode, needed = shapes[number]
    # The only instructions here with a byte too many or an account too few are transfers.
    if number == 2 and len(data) != 12:
        told.facts.add("malformed_instruction")
        return told.call(ix, accounts, 4)
    if len(accounts) < needed:
        return told.call(ix, accounts, 4)
    it = decode(ix)
    head = data[:4]
    if number in (0, 3):
        told.lamports(it["from_pubkey"], it["to_pubkey"], it["lamports"])
        told.line("administer", it["to_pubkey"], head, {"owner": it["owner"], "space": it["space"]})
    elif number in (2, 11):
        told.lamports(it["from_pubkey"], it["to_pubkey"], it["lamports"])
    elif number == 5:
        told.lamports(it["nonce_pubkey"], it["to_pubkey"], it["lamports"])
    elif number == 4:
        told.line("call", SYSTEM, head, {"authority": it["authorized_pubkey"], "nonce": it["nonce_pubkey"]})
    elif number == 6:
        told.line("administer", it["nonce_pubkey"], head, {"authority": it["authority"]})
    elif number == 7:
        told.line("administer", it["nonce_pubkey"], head, {"authority": it["new_authority"]})
    elif number == 1:
        told.line("administer", it["pubkey"], head, {"owner": it["owner"]})
    elif number == 10:
        told.line("administer", it["address"], head, {"owner": it["owner"]})
    elif number == 8:
        told.line("administer", it["pubkey"], head, {"space": it["space"]})
    else:
        named = {"owner": it["owner"], "seed": it["seed"], "space": it["space"]}
        told.line("administer", it["address"], head, named)


def read_token(told, ix, accounts):
    program, data = ix.program_id, bytes(ix.data)
    tag = data[0]
    amount = struct.unpack("<Q", data[1:9])[0] if len(data) >= 9 else None
    if program == TOKEN_2022:
        told.facts.add("token_2022")
    with_fee = program == TOKEN_2022 and tag == 26
    if with_fee:
        told.facts.add("token_2022_fee")
        amount = struct.unpack("<Q", data[2:10])[0]
    if (tag == 12 and len(data) == 10) or with_fee:
        source, mint, target = accounts[:3]
        sender, receiver = (told.holder(program, mint, account) for account in (source, target))
        if receiver is None:
            told.facts.add("unproved_token_owner")
        told.tokens(sender or source, receiver or target, mint, amount)
        if program == TOKEN_2022 and len(accounts) > 4:
            told.facts.add("transfer_hook")
            told.call(ix, accounts, 1)
    elif tag == 13:
        told.lines.append(f"approve {amount} /token:{accounts[1]} {accounts[2]}")
    elif tag in (7, 14):
        told.facts.add("mint")
        mint, target = accounts[:2]
        told.tokens(mint, told.holder(program, mint, target) or target, mint, amount)
        told.line("administer", mint, data[:1], {"amount": amount, "to": target})
    elif tag == 8:
        told.facts.add("burn")
        source, mint = accounts[:2]
        told.tokens(told.holder(program, mint, source) or source, mint, mint, amount)
    elif tag == 9:
        told.facts.add("close_account")
        named = dict(zip(("account", "destination", "owner"), accounts))
        told.line("call", program, data, named)
    elif tag == 6:
        which = ["mint_tokens", "freeze_account", "account_owner", "close_account"][data[1]]
        new = Pubkey.from_bytes(data[3:]) if data[2] else "none"
        told.line("administer", accounts[0], data[:1], {"authority": which, "new": new})
    elif tag == 18:
        named = {"mint": accounts[1], "owner": Pubkey.from_bytes(data[1:])}
        told.line("administer", accounts[0], data[:1], named)
    elif tag == 20:
        named = {"decimals": data[1], "freeze_authority": "none"}
        named["mint_authority"] = Pubkey.from_bytes(data[2:34])
        told.line("administer", accounts[0], data[:1], named)
    elif tag == 10:
        told.line("administer", accounts[0], data[:1], {})
    elif tag == 35 and program == TOKEN_2022:
        told.facts.add("permanent_delegate")
        told.line("administer", accounts[0], data[:1], {"delegate": Pubkey.from_bytes(data[1:])})
    else:
        if tag == 3:
            told.facts.add("unchecked_token_transfer")
        if tag == 4:
            told.facts.add("unchecked_token_approval")
        if tag == 12:
            told.facts.add("malformed_instruction")
        told.call(ix, accounts, 1)


def read_associated(told, ix, accounts):
    payer, created, owner, mint, _, program = accounts
    assert created == get_associated_token_address(owner, mint, program)
    if program == TOKEN_2022:
        told.facts.add("token_2022")
    told.lamports(payer, owner, RENT[program])
    told.owners[created] = owner


def read_stake(told, ix, accounts):
    data = bytes(ix.data)
    number = data[0]
    if number in (3, 4) and len(data) == 12:
        told.lamports(accounts[0], accounts[1], struct.unpack("<Q", data[4:])[0])
    elif number == 1:
        role = "withdrawer" if data[36] else "staker"
        told.line("administer", accounts[0], data[:4], {role: Pubkey.from_bytes(data[4:36])})
    elif number == 2:
        told.line("call", STAKE, data, {"stake": accounts[0], "vote": accounts[1]})
    elif number == 5:
        told.line("call", STAKE, data, {"stake": accounts[0]})
    elif number == 7:
        told.line("call", STAKE, data, {"from": accounts[1], "stake": accounts[0]})
    else:
        if number in (3, 4):
            told.facts.add("malformed_instruction")
        told.call(ix, accounts, 4)


def read_memo(told, ix, accounts):
    try:
        text = bytes(ix.data).decode()
    except UnicodeDecodeError:
        told.facts.add("malformed_memo")
        return told.call(ix, accounts, 0)
    if "\n" in text or len(text.encode()) > 256:
        text = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    told.line("call", MEMO, b"", {"memo": text})


READERS = {
    SYSTEM: read_system,
    TOKEN: read_token,
    TOKEN_2022: read_token,
    ASSOCIATED: read_associated,
    STAKE: read_stake,
    MEMO: read_memo,
}


def fee(signatures, instructions, keys):
    price, limit, units = 0, None, 0
    for ix in instructions:
        program, data = keys[ix.program_id_index], bytes(ix.data)
        if program == BUDGET:
            units += 3_000
            if data[0] == 2:
                limit = struct.unpack("<I", data[1:])[0]
            if data[0] == 3:
                price = struct.unpack("<Q", data[1:])[0]
        else:
            units += 200_000
            signatures += data[0] if program in PRECOMPILES and data else 0
    units = min(units if limit is None else limit, 1_400_000)
    return 5_000 * signatures + min(-(-price * units // 1_000_000), 2**64 - 1)


def read(raw_message, tables, ours):
    """The lines and facts of a message, from its bytes."""
    message = from_bytes_versioned(raw_message)
    keys = list(message.account_keys)
    lookups = list(getattr(message, "address_table_lookups", []))
    if tables is not None:
        sizes = [len(bytes(lookup.writable_indexes)) for lookup in lookups]
        held = [[Pubkey.from_string(text) for text in table["accounts"]] for table in tables]
        keys += [key for size, table in zip(sizes, held) for key in table[:size]]
        keys += [key for size, table in zip(sizes, held) for key in table[size:]]
    signers = message.account_keys[: message.header.num_required_signatures]
    told = Told([signer for signer in signers if signer in ours])
    if len(told.ours) < len(signers):
        told.facts.add("foreign_signer")
    if tables and lookups:
        told.facts.add("resolved_tables")
    first = message.instructions[0]
    if keys[first.program_id_index] == SYSTEM and bytes(first.data)[:4] == b"\4\0\0\0":
        told.facts.add("durable_nonce")
    for compiled in message.instructions:
        program = keys[compiled.program_id_index]
        if any(index >= len(keys) for index in bytes(compiled.accounts)):
            told.facts.add("unresolved")
            told.lines.append("opaque solana/unresolved")
            continue
        accounts = [keys[index] for index in bytes(compiled.accounts)]
        if program != BUDGET:
            ix = built(program, bytes(compiled.data), accounts)
            READERS.get(program, lambda told, ix, accounts: told.call(ix, accounts, 8))(told, ix, accounts)
    if signers[0] in ours:
        told.lines.append(f"fee {fee(len(signers), message.instructions, keys)}")
    else:
        told.facts.add("foreign_fee_payer")
    return told


def compile_message(payer, instructions):
    """Bytes of a message, and what its tables hold at its indexes."""
    if random_source.randrange(2):
        message = Message.new_with_blockhash(instructions, payer, Hash(some_bytes(32)))
        return to_bytes_versioned(message), None
    mentioned = [account.pubkey for ix in instructions for account in ix.accounts if not account.is_signer]
    in_tables = [account for account in dict.fromkeys(mentioned) if random_source.randrange(2)]
    tables = []
    if random_source.randrange(2) and in_tables:
        cut = random_source.randrange(len(in_tables) + 1)
        for part in (in_tables[:cut], in_tables[cut:]):
            addresses = [some_address() for _ in range(random_source.randrange(4))] + part
            tables.append(AddressLookupTableAccount(some_address(), addresses))
    message = MessageV0.try_compile(payer, instructions, tables, Hash(some_bytes(32)))
    held = []
    for lookup in message.address_table_lookups:
        table = next(table for table in tables if table.key == lookup.account_key)
        indexes = list(bytes(lookup.writable_indexes)) + list(bytes(lookup.readonly_indexes))
        accounts = [str(table.addresses[index]) for index in indexes]
        held.append({"address": str(table.key), "accounts": accounts})
    return to_bytes_versioned(message), held


def case():
    mine = [some_key() for _ in range(random_source.choice([1, 1, 2]))]
    me = mine[0].pubkey()
    instructions = build_budget()
    for _ in range(random_source.choice([1, 1, 2, 3])):
        kind = random_source.choice([build_system, build_system, build_token, build_stake, build_other])
        made = kind(me)
        instructions += made if isinstance(made, list) else [made]
    # Our accounts sign, and sometimes somebody else does and pays.
    extra = [meta(key.pubkey(), True, False) for key in mine]
    instructions.append(Instruction(MEMO, b"signed", extra))
    payer = random_source.choice([mine[0], mine[0], some_key()])
    message, tables = compile_message(payer.pubkey(), instructions)
    count = from_bytes_versioned(message).header.num_required_signatures
    if len(message) + 1 + 64 * count > 1_232:
        return None
    if tables is not None and random_source.randrange(3) == 0:
        tables = None
    keys = {key.pubkey(): key for key in mine}
    told = read(message, tables, list(keys))
    signers = from_bytes_versioned(message).account_keys[:count]
    signatures = [bytes(keys[it].sign_message(message)) if it in keys else bytes(64) for it in signers]
    return {
        "ours": [bytes(key.secret()).hex() for key in mine],
        "message": base64.b64encode(message).decode(),
        "tables": tables,
        "effects": told.lines,
        "facts": sorted(told.facts),
        "raw": base64.b64encode(bytes([count]) + b"".join(signatures) + message).decode(),
    }


def main():
    cases = []
    while len(cases) < COUNT:
        made = case()
        if made is not None:
            cases.append(made)
    here = pathlib.Path(__file__).parent.parent / "solana"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    folder.mkdir(exist_ok=True)
    text = json.dumps(cases, indent=1, ensure_ascii=False).encode()
    (folder / "messages.json.gz").write_bytes(gzip.compress(text, mtime=0))
    print(len(cases), "messages,", len(text), "bytes")


if __name__ == "__main__":
    main()
