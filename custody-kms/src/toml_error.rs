//! Where TOML is malformed, without what stands there.

/// The line that a reader stopped at, from 1.
pub(crate) fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    before.matches('\n').count().saturating_add(1)
}

/// The name before the first `=` of a line; nothing where no name stands, or no value behind it, as in
/// encoded bytes that end in `=`.
pub(crate) fn name_on(text: &str, line: usize) -> String {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let (name, value) = line.split_once('=').unwrap_or_default();
    let (name, value) = (name.trim(), value.trim());
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let has_value = !value.is_empty() && !value.starts_with('=');
    if has_value && name.len() <= NAME_MAX && name.bytes().all(is_name) {
        name.to_owned()
    } else {
        String::new()
    }
}

const NAME_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_and_nothing_else() {
        for (line, name) in [
            ("colour = 'red'", "colour"),
            ("limits.wait=3", "limits.wait"),
            ("czNjcmV0LWlucHV0", ""),
            ("czNjcmV0LWlucHV0MQ==", ""),
            ("czNjcmV0LWlucHV0MTI=", ""),
            ("czNjcmV0LWlucHV0MTI= ", ""),
            ("s3cret input = 1", ""),
            ("'s3cret-input' = 1", ""),
            ("", ""),
        ] {
            let text = format!("first = 1\n{line}\nlast = 2");
            assert_eq!(name_on(&text, 2), name, "{line}");
        }
        assert_eq!(name_on("first = 1", 2), "");
    }
}
