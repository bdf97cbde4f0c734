//! Variables of the environment, which modules read.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex};

/// A variable of the environment, and who waits until it is set.
type Variable = (&'static str, String, Sender<()>);

/// The one thread that sets variables: what was set before stays set while it waits for more.
static SETTER: LazyLock<Mutex<Sender<Variable>>> = LazyLock::new(|| {
    let (sender, receiver) = channel();
    std::thread::spawn(move || set_next(&receiver));
    Mutex::new(sender)
});

fn set_next(variables: &Receiver<Variable>) {
    let Ok((name, value, done)) = variables.recv() else { return };
    temp_env::with_var(name, Some(value), || {
        done.send(()).unwrap();
        set_next(variables);
    });
}

/// Sets a variable for as long as the process lives.
pub(crate) fn set(name: &'static str, value: &str) {
    let (done, wait) = channel();
    SETTER.lock().unwrap().send((name, value.to_owned(), done)).unwrap();
    wait.recv().unwrap();
}
