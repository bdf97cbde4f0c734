"""The reference implementation of SLIP-39, one question a line, one answer a line, in JSON."""

import json
import sys

from shamir_mnemonic import MnemonicError, combine_mnemonics, generate_mnemonics


def answer(question):
    passphrase = question["passphrase"].encode()
    if "words" in question:
        return combine_mnemonics(question["words"], passphrase).hex()
    return generate_mnemonics(
        question["group_threshold"],
        [tuple(group) for group in question["groups"]],
        bytes.fromhex(question["secret"]),
        passphrase,
        question["extendable"],
        question["iteration_exponent"],
    )


for line in sys.stdin:
    try:
        said = {"answer": answer(json.loads(line))}
    except MnemonicError as error:
        said = {"refused": type(error).__name__}
    print(json.dumps(said), flush=True)
