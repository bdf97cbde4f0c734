"""The virtual machine of Solana in this process: one question a line, one answer a line, in JSON.

{"airdrop": ADDRESS, "lamports": N}  ->  {"blockhash": HASH}
{"send": BASE64}                     ->  {"signature": TEXT} or {"refused": REASON}
{"balance": ADDRESS}                 ->  {"lamports": N}
"""

import base64
import json
import sys

from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

svm = LiteSVM()


def answer(question):
    if "airdrop" in question:
        svm.airdrop(Pubkey.from_string(question["airdrop"]), question["lamports"])
        return {"blockhash": str(svm.latest_blockhash())}
    if "balance" in question:
        return {"lamports": svm.get_balance(Pubkey.from_string(question["balance"])) or 0}
    try:
        transaction = VersionedTransaction.from_bytes(base64.b64decode(question["send"]))
    except Exception as error:
        return {"refused": str(error)}
    done = svm.send_transaction(transaction)
    if isinstance(done, FailedTransactionMetadata):
        return {"refused": str(done.err())}
    return {"signature": str(done.signature())}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
