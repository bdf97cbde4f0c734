//! Endpoints at which nobody serves.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::net::{Ipv4Addr, TcpListener};

/// The URL of a port that refuses connections: nothing is registered for it that anybody runs.
pub(crate) fn closed_port() -> String {
    format!("http://{}:1", Ipv4Addr::LOCALHOST)
}

/// A port that takes connections and never reads from them.
pub(crate) struct SilentPort(TcpListener);

impl SilentPort {
    pub(crate) fn open() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }
}
