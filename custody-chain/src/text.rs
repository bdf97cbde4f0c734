//! How texts and bytes of a payload stand in an intent.
//!
//! Invariant: what people read and rules see says what it seems to say: no letter is hidden or turned
//! round, and no text passes for the digest of another.

use custody_core::digest::Digest;
use custody_core::effect::Arguments;

/// The text; the digest of one that is too long for an argument, has letters that are not seen, or
/// begins as a digest does.
pub(crate) fn shown(text: &str) -> String {
    let is_plain = !text.chars().any(is_hidden) && !text.starts_with(DIGEST);
    if is_plain && text.len() <= Arguments::VALUE_MAX {
        return text.to_owned();
    }
    digest_of(text.as_bytes())
}

/// What stands in the place of bytes that are not told.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("{DIGEST}{}", Digest::of(bytes))
}

/// Control characters, and those that nobody sees or that hide, join or turn round what stands
/// beside them: the default ignorable code points of Unicode, separators of lines and paragraphs,
/// marks of annotations, and the blank of Braille. The variation selector of many emoji (U+FE0F) is
/// one of them, so a text with such an emoji counts as hidden too.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Adds names and values to a line. The values are quoted, so that none looks like a further
/// argument.
pub(crate) fn push_arguments(line: &mut String, arguments: &Arguments) {
    for (name, value) in arguments.iter() {
        line.push_str(&format!(", {name}={value:?}"));
    }
}

const DIGEST: &str = "sha256:";

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last character of each range.
    const HIDDEN: [(char, char); 21] = [
        ('\0', '\u{1f}'),
        ('\u{7f}', '\u{9f}'),
        ('\u{ad}', '\u{ad}'),
        ('\u{34f}', '\u{34f}'),
        ('\u{61c}', '\u{61c}'),
        ('\u{115f}', '\u{1160}'),
        ('\u{17b4}', '\u{17b5}'),
        ('\u{180b}', '\u{180f}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{2028}', '\u{202e}'),
        ('\u{2060}', '\u{206f}'),
        ('\u{2800}', '\u{2800}'),
        ('\u{3164}', '\u{3164}'),
        ('\u{fe00}', '\u{fe0f}'),
        ('\u{feff}', '\u{feff}'),
        ('\u{ffa0}', '\u{ffa0}'),
        ('\u{fff0}', '\u{fff8}'),
        ('\u{fff9}', '\u{fffb}'),
        ('\u{1bca0}', '\u{1bca3}'),
        ('\u{1d173}', '\u{1d17a}'),
        ('\u{e0000}', '\u{e0fff}'),
    ];

    #[test]
    fn what_nobody_sees_is_hidden_and_told_by_its_digest() {
        for (first, last) in HIDDEN {
            for character in first..=last {
                assert!(is_hidden(character), "U+{:04X}", u32::from(character));
                let text = format!("pay{character}ment");
                assert_eq!(shown(&text), digest_of(text.as_bytes()));
            }
        }
    }

    /// What is read, and the neighbours of what is hidden.
    #[test]
    fn what_people_see_stays_as_it_is() {
        let letters = " aZ9~\u{a0}ß\u{301}\u{627}中✓❤\u{1f600}";
        let neighbours = "\u{ac}\u{ae}\u{34e}\u{350}\u{61b}\u{61d}\u{115e}\u{1161}\u{17b3}\
            \u{17b6}\u{180a}\u{1810}\u{200a}\u{2010}\u{2027}\u{202f}\u{205f}\u{2070}\u{27ff}\
            \u{2801}\u{3163}\u{3165}\u{fdff}\u{fe10}\u{fefe}\u{ff00}\u{ff9f}\u{ffa1}\u{ffef}\
            \u{fffc}\u{1bc9f}\u{1bca4}\u{1d172}\u{1d17b}\u{dffff}\u{e1000}";
        for character in letters.chars().chain(neighbours.chars()) {
            assert!(!is_hidden(character), "U+{:04X}", u32::from(character));
        }
        assert_eq!(shown(letters), letters);
        assert_eq!(shown("❤\u{fe0f}"), digest_of("❤\u{fe0f}".as_bytes()));
    }

    #[test]
    fn what_is_long_or_looks_like_a_digest_is_told_by_its_digest() {
        let longest = "m".repeat(Arguments::VALUE_MAX);
        assert_eq!(shown(&longest), longest);
        for text in [format!("{longest}m"), "sha256:".to_owned(), "sha256:00".to_owned()] {
            assert_eq!(shown(&text), digest_of(text.as_bytes()));
        }
    }

    #[test]
    fn no_value_looks_like_a_further_argument() {
        let mut arguments = Arguments::new();
        let mut line = "call".to_owned();
        push_arguments(&mut line, &arguments);
        assert_eq!(line, "call");
        for (name, value) in [("to", "me\", amount=\"1"), ("back", "\\"), ("empty", "")] {
            arguments.insert(name, value).unwrap();
        }
        push_arguments(&mut line, &arguments);
        assert_eq!(line, r#"call, back="\\", empty="", to="me\", amount=\"1""#);
    }
}
