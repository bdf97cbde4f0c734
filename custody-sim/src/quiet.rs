use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// The first panic that was not planned.
    static UNPLANNED: Cell<Option<String>> = const { Cell::new(None) };
}

/// As long as it lives, the planned panics of this thread are not printed, and the first that was
/// not planned is kept, whoever catches it.
#[derive(Debug)]
pub(crate) struct Quiet(bool);

impl Quiet {
    pub(crate) fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                let text = info.payload_as_str().unwrap_or_default();
                let is_planned = QUIET.get() && text.contains("planned");
                if QUIET.get() && !is_planned {
                    let place = info.location().map(ToString::to_string).unwrap_or_default();
                    keep(format!("{place}: {text}"));
                }
                if !is_planned {
                    hook(info);
                }
            }));
        });
        UNPLANNED.set(None);
        Self(QUIET.replace(true))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.set(self.0);
    }
}

/// The first panic that was not planned, if there was one since this was asked last.
pub(crate) fn unplanned() -> Option<String> {
    UNPLANNED.take()
}

fn keep(panic: String) {
    let first = UNPLANNED.take().unwrap_or(panic);
    UNPLANNED.set(Some(first));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_panic_that_was_not_planned_is_kept() {
        let _quiet = Quiet::new();
        let panics = |text: &str| {
            std::panic::catch_unwind(|| assert!(text.is_empty(), "{text}")).unwrap_err();
        };
        panics("a planned panic");
        assert_eq!(unplanned(), None);
        for text in ["the first", "a planned panic", "the second"] {
            panics(text);
        }
        assert!(unplanned().unwrap().ends_with(": the first"));
        assert_eq!(unplanned(), None);
    }
}
