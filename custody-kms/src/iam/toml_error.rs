//! Where TOML is malformed, without what stands there.

/// The line that a reader stopped at, from 1.
pub(crate) fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    before.matches('\n').count().saturating_add(1)
}

/// The name before the first `=` of a line; nothing where no name stands.
pub(crate) fn name_on(text: &str, line: usize) -> String {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let name = line.split_once('=').map(|(name, _)| name.trim()).unwrap_or_default();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.len() <= NAME_MAX && name.bytes().all(is_name) {
        name.to_owned()
    } else {
        String::new()
    }
}

const NAME_MAX: usize = 64;
