use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_core::seam::{AnchorError, ErrorKind, Head, HeadAnchor};

use crate::referee::Referee;
use crate::weather::{Fate, Weather};

/// The head that is kept elsewhere. Clones are one anchor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Anchor {
    head: Arc<Mutex<Option<Head>>>,
}

/// The anchor in one life.
#[derive(Clone, Debug)]
pub(crate) struct WeatheredAnchor {
    pub(crate) anchor: Anchor,
    pub(crate) weather: Weather,
    pub(crate) referee: Referee,
}

impl Anchor {
    /// The number of events under the anchored head.
    pub(crate) fn size(&self) -> u64 {
        self.head.lock().unwrap().map_or(0, |head| head.size.value())
    }

    /// Puts another head in place.
    pub(crate) fn set(&self, head: Option<Head>) {
        *self.head.lock().unwrap() = head;
    }
}

impl WeatheredAnchor {
    async fn moves(self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
        let odds = self.weather.sky().anchor;
        self.weather.pass(&odds).await;
        let fate = self.weather.fate("advance anchor", &odds);
        fate.strike_before().await;
        if fate == Fate::FailsBefore || self.weather.is_over() {
            return Err(AnchorError::new(ErrorKind::Unavailable, "advance"));
        }
        {
            let mut head = self.anchor.head.lock().unwrap();
            if *head != old {
                return Err(AnchorError::new(ErrorKind::Conflict, "advance"));
            }
            self.referee.anchored(old, new);
            *head = Some(new);
        }
        self.weather.pass(&odds).await;
        fate.strike_after().await;
        if fate == Fate::FailsAfter {
            return Err(AnchorError::new(self.weather.doubt(), "advance"));
        }
        Ok(())
    }
}

#[async_trait]
impl HeadAnchor for WeatheredAnchor {
    async fn load(&self) -> Result<Option<Head>, AnchorError> {
        let odds = self.weather.sky().anchor;
        self.weather.pass(&odds).await;
        let fate = self.weather.fate("load anchor", &odds);
        fate.strike_before().await;
        if fate == Fate::FailsBefore {
            return Err(AnchorError::new(ErrorKind::Unavailable, "load"));
        }
        Ok(*self.anchor.head.lock().unwrap())
    }

    async fn advance(&self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
        self.referee.begins("an advance of the anchor");
        self.weather.make(self.clone().moves(old, new)).await
    }
}
