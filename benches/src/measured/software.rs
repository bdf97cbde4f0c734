//! Software keys.

use std::sync::Arc;

use async_trait::async_trait;
use custody_bench::harness::{Opened, OptionHelp, Provider, Wanted};

use super::crypto;
use crate::Failure;
use crate::house;

/// `custody-soft` under a passphrase.
#[derive(Debug)]
pub(super) struct Software;

#[async_trait]
impl Provider for Software {
    fn name(&self) -> &str {
        "software"
    }

    fn about(&self) -> &str {
        "keys of custody-soft, sealed under a passphrase, opened before they are measured"
    }

    fn options(&self) -> &[OptionHelp] {
        &[]
    }

    async fn open(&self, wanted: &Wanted) -> Result<Opened, String> {
        let open = || -> Result<Opened, Failure> {
            let opened =
                Opened::new(Arc::new(house::soft_backend()?)).with_fact("engine", crypto::ENGINE);
            let peers = crypto::peers(wanted.algorithm)?;
            Ok(peers.into_iter().fold(opened, Opened::with_peer))
        };
        open().map_err(|error| error.to_string())
    }
}
