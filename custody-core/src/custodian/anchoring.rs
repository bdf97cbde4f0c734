use crate::seam::{AnchorError, Head, HeadAnchor};

/// How far the head that is kept elsewhere has come.
///
/// An advance that reported an error may have happened all the same, now or later. Heads that were
/// tried are remembered until one is certain, so that finding one of them is no conflict.
#[derive(Debug)]
pub(super) struct Anchoring {
    known: Option<Head>,
    tried: Vec<Head>,
}

impl Anchoring {
    pub(super) const fn new(known: Option<Head>) -> Self {
        Self { known, tried: Vec::new() }
    }

    /// Moves the anchor to `new`. After an error it looks where the anchor stands and tries once
    /// more.
    pub(super) async fn advance(
        &mut self,
        anchor: &dyn HeadAnchor,
        new: Head,
    ) -> Result<(), AnchorError> {
        if self.known == Some(new) {
            return Ok(());
        }
        if self.tried.is_empty() && self.step(anchor, new).await.is_ok() {
            return Ok(());
        }
        let found = anchor.load().await?;
        if found.is_some_and(|found| self.tried.contains(&found)) {
            self.known = found;
        }
        if self.known == Some(new) {
            self.tried.clear();
            return Ok(());
        }
        self.step(anchor, new).await
    }

    async fn step(&mut self, anchor: &dyn HeadAnchor, new: Head) -> Result<(), AnchorError> {
        const TRIED_MAX: usize = 1_024;
        if !self.tried.contains(&new) {
            if self.tried.len() == TRIED_MAX {
                self.tried.remove(0);
            }
            self.tried.push(new);
        }
        anchor.advance(self.known, new).await?;
        self.known = Some(new);
        self.tried.clear();
        Ok(())
    }
}
