//! RLP written by hand, so that it can be wrong on purpose.

pub(crate) type Item = Vec<u8>;

pub(crate) fn string(bytes: &[u8]) -> Item {
    match bytes {
        [byte @ ..0x80] => vec![*byte],
        _ => [header(0x80, bytes.len()), bytes.to_vec()].concat(),
    }
}

pub(crate) fn number(value: u128) -> Item {
    let bytes = value.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    string(&bytes[zeros..])
}

pub(crate) fn list(items: &[Item]) -> Item {
    let body = items.concat();
    [header(0xc0, body.len()), body].concat()
}

fn header(base: u8, length: usize) -> Vec<u8> {
    if length < 56 {
        return vec![base + u8::try_from(length).unwrap()];
    }
    let bytes = length.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros..];
    [&[base + 55 + u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// The raw items of the one list that `bytes` begin and end with, without any check of what is
/// inside them.
pub(crate) fn items(bytes: &[u8]) -> Option<Vec<Item>> {
    let (start, end) = bounds(bytes)?;
    if *bytes.first()? < 0xc0 || end != bytes.len() {
        return None;
    }
    let mut rest = &bytes[start..end];
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (_, end) = bounds(rest)?;
        items.push(rest.get(..end)?.to_vec());
        rest = &rest[end..];
    }
    Some(items)
}

/// The content of an item that is a string.
pub(crate) fn content(item: &[u8]) -> Option<&[u8]> {
    let (start, end) = bounds(item)?;
    if *item.first()? < 0xc0 { item.get(start..end) } else { None }
}

/// Where the content of the first item begins and ends.
fn bounds(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*bytes.first()?);
    let (start, length) = match first {
        ..0x80 => (0, 1),
        0x80..0xb8 => (1, first - 0x80),
        0xb8..0xc0 => (first - 0xb6, long(bytes, first - 0xb7)?),
        0xc0..0xf8 => (1, first - 0xc0),
        _ => (first - 0xf6, long(bytes, first - 0xf7)?),
    };
    let end = start.checked_add(length)?;
    (end <= bytes.len()).then_some((start, end))
}

fn long(bytes: &[u8], size: usize) -> Option<usize> {
    bytes
        .get(1..=size)?
        .iter()
        .try_fold(0_usize, |length, byte| length.checked_mul(256)?.checked_add(usize::from(*byte)))
}

/// nonce, gas price, gas limit, to, value, data.
pub(crate) fn legacy() -> Vec<Item> {
    vec![
        number(7),
        number(20_000_000_000),
        number(21_000),
        string(&[0x35; 20]),
        number(5),
        number(0),
    ]
}

/// nonce, gas price, gas limit, to, value, data, chain id 1, 0, 0.
pub(crate) fn eip155() -> Vec<Item> {
    [legacy(), vec![number(1), number(0), number(0)]].concat()
}

/// chain id 1, nonce, priority fee, fee, gas limit, to, value, data, access list.
pub(crate) fn eip1559() -> Vec<Item> {
    let mut items = vec![number(1), number(7), number(2), number(20_000_000_000)];
    items.extend([number(21_000), string(&[0x35; 20]), number(5), number(0), list(&[])]);
    items
}

/// The items with one of them replaced.
pub(crate) fn with(mut items: Vec<Item>, index: usize, item: Item) -> Vec<Item> {
    items[index] = item;
    items
}

/// A payload of type 2.
pub(crate) fn typed(items: &[Item]) -> Vec<u8> {
    [vec![2], list(items)].concat()
}
