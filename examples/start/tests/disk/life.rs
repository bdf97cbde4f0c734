//! The process under the shim: lives through one case after the other, and tells what its callers
//! heard.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use custody_core::custodian::{Answer, Error, Outcome};
use custody_core::digest::Digest;
use custody_core::seam::Store as _;
use tokio::time::timeout;

use crate::house::{House, add_known};
use crate::shim::{JOURNAL, Shim};
use crate::world::words;
use crate::world::work::ETH;

/// What a custodian is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// To be made, and to do a command.
    Create,
    /// To be opened, to make a small payment, and a large one that two people approve.
    Pay,
}

/// One line of the list of a process's cases.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The name of its folder.
    pub(crate) name: String,
    pub(crate) work: Work,
    /// What the shim is told.
    pub(crate) order: String,
}

impl Case {
    pub(crate) fn to_line(&self) -> String {
        format!("{}\t{:?}\t{}\n", self.name, self.work, self.order.trim_end())
    }

    fn parse(line: &str) -> Self {
        let parts: Vec<_> = line.split('\t').collect();
        let work = if parts[1] == "Pay" { Work::Pay } else { Work::Create };
        Self { name: parts[0].to_owned(), work, order: format!("{}\n", parts[2]) }
    }
}

/// Lives through every case of the list, or as far as it gets.
pub(crate) fn live(shim: &Shim) {
    let list = fs::read_to_string(list_of(shim)).unwrap();
    // The name of the test stands in the first line.
    println!();
    for case in list.lines().map(Case::parse) {
        let root = shim.directory.join(&case.name);
        fs::create_dir(&root).unwrap();
        if case.work == Work::Pay {
            copy(&image_of(shim), &root);
        }
        fs::write(&shim.control, &case.order).unwrap();
        let hangs = case.order.starts_with("hang");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (lived, house) = runtime.block_on(async {
            let limit = if case.order.starts_with("count") { PATIENCE } else { LIMIT };
            let told = Told { name: &case.name, root: &root, said: Cell::new(0), limit };
            let life = timeout(PATIENCE, told.live(case.work)).await;
            (life.is_ok(), life.ok().flatten())
        });
        if !lived {
            println!("@{}\thangs", case.name);
        }
        if hangs {
            // Whoever waits for the thread that hangs would hang too.
            println!("@{}\tend", case.name);
            std::process::exit(0);
        }
        drop((house, runtime));
        fs::write(&shim.control, "").unwrap();
        println!("@{}\tend", case.name);
    }
}

/// Where the list of a process's cases is.
pub(crate) fn list_of(shim: &Shim) -> PathBuf {
    shim.control.with_file_name("cases")
}

/// Where the furnished house is that each case gets a copy of.
pub(crate) fn image_of(shim: &Shim) -> PathBuf {
    shim.control.with_file_name("image")
}

/// Tells what one case's callers hear.
struct Told<'a> {
    name: &'a str,
    root: &'a Path,
    said: Cell<usize>,
    limit: Duration,
}

impl Told<'_> {
    fn say(&self, text: &str) {
        if std::env::var_os(JOURNAL).is_some() {
            self.mark(&format!("{SAID}{}", self.said.get()));
            self.said.set(self.said.get() + 1);
        }
        println!("@{}\t{}", self.name, text.replace('\n', " "));
    }

    /// Tells trace and journal how far it is.
    fn mark(&self, how_far: &str) {
        fs::create_dir(self.root.join(how_far)).unwrap();
    }

    async fn live(&self, work: Work) -> Option<House> {
        let house = match House::open(self.root, 1, self.limit).await {
            Ok(house) => house,
            Err(error) => {
                self.say(&format!("refused {error:?}"));
                return None;
            }
        };
        self.say("opened");
        self.mark(OPENED);
        let well = match work {
            Work::Create => {
                let known = house.govern("known", add_known()).await;
                self.hear(&house, "known", &known)
            }
            Work::Pay => self.pay(&house).await,
        };
        match house.store.head().await {
            Ok(head) => self.say(&format!("head {head}")),
            Err(error) => self.say(&format!("no head {:?}", error.kind())),
        }
        if well {
            self.mark(CLOSING);
        }
        let closed = house.custodian.close().await;
        self.say(if closed.is_ok() { "closed" } else { "not closed" });
        Some(house)
    }

    async fn pay(&self, house: &House) -> bool {
        let small = house.pay("small", ETH / 2).await;
        let large = house.pay("large", 20 * ETH).await;
        let mut well = self.hear(house, "small", &small) & self.hear(house, "large", &large);
        if let Ok(large) = large {
            well &= self.hear(house, "large", &house.approve_all(large).await);
        }
        well
    }

    fn hear(&self, house: &House, request: &str, answer: &Result<Answer, Error>) -> bool {
        if let Ok(answer) = answer {
            let given = serde_json::to_string(&house.given(request, answer)).unwrap();
            self.say(&format!("{GIVEN}{given}"));
        }
        match answer {
            Ok(Answer { order, outcome: Outcome::Released(_), .. }) => {
                self.say(&format!("heard {request} released {order} {}", summary(answer)));
            }
            _ => self.say(&format!("heard {request} {}", words::of(answer))),
        }
        answer.is_ok()
    }
}

/// All that an answer says, but for the receipt.
pub(crate) fn summary(answer: &Result<Answer, Error>) -> String {
    Digest::of(words::in_full(answer).as_bytes()).to_string()
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

/// The folders that tell trace and journal how far a life is.
pub(crate) const OPENED: &str = "opened";
pub(crate) const CLOSING: &str = "closing";
/// Before what the oracle is to know of an answer.
pub(crate) const GIVEN: &str = "given ";
/// Before the number of what is said next.
pub(crate) const SAID: &str = "said-";

/// How long a call of store, log or anchor may take when something goes wrong.
const LIMIT: Duration = Duration::from_millis(150);
/// How long everything may take.
const PATIENCE: Duration = Duration::from_secs(20);
