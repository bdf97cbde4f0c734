//! Unsigned EIP-1559 transactions, encoded by hand (Yellow Paper, appendix B).

/// One ether in wei.
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;

/// A transfer of `wei` to an address on mainnet, 21,000 gas at 20 gwei.
pub(crate) fn transfer(nonce: u64, to: [u8; 20], wei: u128) -> Vec<u8> {
    call(nonce, to, wei, &[])
}

/// The same with calldata.
pub(crate) fn call(nonce: u64, to: [u8; 20], wei: u128, data: &[u8]) -> Vec<u8> {
    let gwei = 1_000_000_000_u128;
    let fields = [
        number(1),
        number(nonce.into()),
        number(gwei),
        number(20 * gwei),
        number(21_000),
        string(&to),
        number(wei),
        string(data),
        list(&[]),
    ];
    [vec![2], list(&fields)].concat()
}

fn number(value: u128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    string(&bytes[zeros..])
}

fn string(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [byte] if *byte < 0x80 => vec![*byte],
        _ => [prefix(0x80, bytes.len()), bytes.to_vec()].concat(),
    }
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    [prefix(0xc0, payload.len()), payload].concat()
}

fn prefix(base: u8, length: usize) -> Vec<u8> {
    assert!(length < 256, "these transactions are short");
    if length < 56 { vec![base + length as u8] } else { vec![base + 56, length as u8] }
}
