//! The library's own log lines land in the output of the tests, where secrets are searched for.

use std::sync::Once;

use tracing_subscriber::EnvFilter;

/// Writes log lines to the output of the test, as `RUST_LOG` says; once for a process.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let lines = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::from_default_env())
            .with_ansi(false)
            .with_test_writer();
        lines.init();
    });
}
