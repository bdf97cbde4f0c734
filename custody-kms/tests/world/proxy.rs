//! A proxy of ours before an endpoint of AWS, or an endpoint that only says what it was told to.
//! It lists all calls, and does to them what rules say: loses them before or after the endpoint
//! acted, never answers, answers something else.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub(crate) use answer::Answer;
use answer::Message;

#[path = "answer.rs"]
mod answer;

/// What happens to a call.
pub(crate) enum Fault {
    /// The endpoint does not see it; this is answered.
    Answer(Answer),
    /// It reaches the endpoint after this time, and is answered.
    Delay(Duration),
    /// It reaches the endpoint. The connection is closed without the answer.
    DropAfter,
    /// The endpoint does not see it. The connection is closed.
    DropBefore,
    /// It reaches the endpoint. Another body is answered than the endpoint's.
    Edit(Box<dyn Fn(String) -> String + Send + Sync>),
    /// The endpoint does not see it. Nothing is answered while the proxy lives.
    Hang,
    /// It reaches the endpoint. Nothing is answered while the proxy lives.
    HangAfter,
    /// Nothing: it reaches the endpoint and is answered.
    Pass,
    /// It reaches the endpoint. The head and half of the body are answered, and no more while the
    /// proxy lives.
    StallBody,
}

/// How many calls a rule is for.
#[derive(Clone, Copy)]
pub(crate) enum Times {
    /// All, until the next rule for the operation is made.
    Always,
    /// So many, after those of the rules that were made before.
    Next(usize),
}

/// The proxy. Its threads end with it, and it fails if it was misused.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// Names every operation for which there is no rule of its own.
pub(crate) const ANY: &str = "*";

/// One call, as it came.
struct Call {
    operation: String,
    access_key: String,
    body: String,
}

struct Rule {
    times: Times,
    fault: Arc<Fault>,
}

struct Shared {
    upstream: Option<SocketAddr>,
    state: Mutex<State>,
    /// A call came, or the proxy is closed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    rules: HashMap<String, VecDeque<Rule>>,
    /// What it was not made for.
    complaints: Vec<String>,
    is_closed: bool,
    /// Connections, each by a number of its own, which are shut when the proxy is closed.
    streams: HashMap<u64, TcpStream>,
    streams_seen: u64,
    threads: Vec<JoinHandle<()>>,
}

impl Fault {
    /// Another body than the endpoint's, made of it.
    pub(crate) fn edit(edit: impl Fn(String) -> String + Send + Sync + 'static) -> Self {
        Self::Edit(Box::new(edit))
    }

    fn needs_upstream(&self) -> bool {
        !matches!(self, Self::Answer(_) | Self::DropBefore | Self::Hang)
    }
}

impl From<Answer> for Fault {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl Proxy {
    /// A proxy before the endpoint at this URL. Calls pass while there is no rule.
    pub(crate) fn before(upstream: &str) -> Self {
        let address = upstream.strip_prefix("http://").unwrap().trim_end_matches('/');
        Self::start(Some(address.to_socket_addrs().unwrap().next().unwrap()))
    }

    /// An endpoint that only says what rules tell it to.
    pub(crate) fn scripted() -> Self {
        Self::start(None)
    }

    fn start(upstream: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { upstream, state, changed });
        let accepting = Arc::clone(&shared);
        let acceptor = Some(thread::spawn(move || accept(&accepting, &listener)));
        Self { address, shared, acceptor }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a rule for calls of an operation, such as `Sign`, after those that there are.
    pub(crate) fn rule(&self, operation: &str, times: Times, fault: impl Into<Fault>) {
        let fault = Arc::new(fault.into());
        let can_be = self.shared.upstream.is_some() || !fault.needs_upstream();
        assert!(can_be, "{operation}: there is no endpoint behind this one");
        let mut state = self.shared.lock();
        let rules = state.rules.entry(operation.to_owned()).or_default();
        rules.push_back(Rule { times, fault });
    }

    /// How many calls of an operation came.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.shared.lock().calls.iter().filter(|call| call.operation == operation).count()
    }

    /// The operations of all calls, in their order.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.shared.lock().calls.iter().map(|call| call.operation.clone()).collect()
    }

    /// The bodies of the calls of an operation, in their order.
    pub(crate) fn bodies(&self, operation: &str) -> Vec<String> {
        self.list(operation, |call| call.body.clone())
    }

    /// With which access key each call of an operation was signed.
    pub(crate) fn access_keys(&self, operation: &str) -> Vec<String> {
        self.list(operation, |call| call.access_key.clone())
    }

    /// Waits until so many calls of an operation came; fails if they do not.
    pub(crate) fn wait_for(&self, operation: &str, calls: usize) {
        let started = Instant::now();
        while self.calls(operation) < calls {
            assert!(started.elapsed() < PATIENCE, "{operation} was not called {calls} times");
            let state = self.shared.lock();
            drop(self.shared.changed.wait_timeout(state, PAUSE).unwrap());
        }
    }

    fn list(&self, operation: &str, part: impl Fn(&Call) -> String) -> Vec<String> {
        let state = self.shared.lock();
        state.calls.iter().filter(|call| call.operation == operation).map(part).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.close();
        // Wakes the acceptor, which looks whether it is closed.
        drop(TcpStream::connect(self.address));
        let acceptor = self.acceptor.take().map(JoinHandle::join);
        let threads = std::mem::take(&mut self.shared.lock().threads);
        let ended: Vec<_> = threads.into_iter().map(JoinHandle::join).chain(acceptor).collect();
        if !thread::panicking() {
            assert!(ended.iter().all(Result::is_ok), "a thread of the proxy panicked");
            let complaints = &self.shared.lock().complaints;
            assert!(complaints.is_empty(), "the proxy was misused: {complaints:?}");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        for stream in state.streams.values() {
            drop(stream.shutdown(Shutdown::Both));
        }
        self.changed.notify_all();
    }

    /// Waits until the proxy is closed, or for this time.
    fn wait(&self, time: Option<Duration>) {
        let started = Instant::now();
        let is_over = || time.is_some_and(|time| started.elapsed() >= time);
        let mut state = self.lock();
        while !state.is_closed && !is_over() {
            let rest = time.map_or(PAUSE, |time| time.saturating_sub(started.elapsed()));
            state = self.changed.wait_timeout(state, rest.min(PAUSE)).unwrap().0;
        }
    }

    /// Keeps a connection, so that it is shut when the proxy is closed.
    fn keep(self: &Arc<Self>, stream: TcpStream) -> io::Result<Kept> {
        stream.set_nodelay(true)?;
        let mut state = self.lock();
        if state.is_closed {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        state.streams_seen = state.streams_seen.saturating_add(1);
        let number = state.streams_seen;
        state.streams.insert(number, stream.try_clone()?);
        Ok(Kept { stream, number, shared: Arc::clone(self) })
    }

    /// Lists a call, and says what is to happen to it.
    fn note(&self, request: &Message) -> Arc<Fault> {
        let target = request.header("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let mut state = self.lock();
        let mut fault = [operation.as_str(), ANY].into_iter().find_map(|name| state.next(name));
        if fault.is_none() && self.upstream.is_none() {
            state.complaints.push(format!("{operation}: nothing was said about this call"));
            fault = Some(Arc::new(Fault::DropBefore));
        }
        state.calls.push(Call { operation, access_key: request.access_key(), body });
        self.changed.notify_all();
        fault.unwrap_or_else(|| Arc::new(Fault::Pass))
    }

    /// What the endpoint answers.
    fn forward(self: &Arc<Self>, request: &Message) -> io::Result<Message> {
        let upstream = self.upstream.ok_or(io::ErrorKind::NotConnected)?;
        let answer = TcpStream::connect(upstream).and_then(|stream| {
            let mut kept = self.keep(stream)?;
            kept.stream.write_all(&request.bytes())?;
            Message::read_answer(&mut BufReader::new(&kept.stream))
        });
        if let Err(error) = &answer {
            let mut state = self.lock();
            if !state.is_closed {
                state.complaints.push(format!("the endpoint did not answer: {error}"));
            }
        }
        answer
    }

    /// Does to a call what is to happen to it; whether the connection lives on.
    fn act(
        self: &Arc<Self>,
        request: &Message,
        fault: &Fault,
        client: &mut TcpStream,
    ) -> io::Result<bool> {
        match fault {
            Fault::Answer(answer) => client.write_all(&answer.message().bytes())?,
            Fault::Delay(time) => {
                self.wait(Some(*time));
                client.write_all(&self.forward(request)?.bytes())?;
            }
            Fault::DropAfter => {
                self.forward(request)?;
                return Ok(false);
            }
            Fault::DropBefore => return Ok(false),
            Fault::Edit(edit) => {
                let mut answer = self.forward(request)?;
                let body = String::from_utf8(answer.body).unwrap();
                answer.body = edit(body).into_bytes();
                client.write_all(&answer.bytes())?;
            }
            Fault::Hang => {
                self.wait(None);
                return Ok(false);
            }
            Fault::HangAfter => {
                self.forward(request)?;
                self.wait(None);
                return Ok(false);
            }
            Fault::Pass => client.write_all(&self.forward(request)?.bytes())?,
            Fault::StallBody => {
                let answer = self.forward(request)?;
                let all = answer.bytes();
                let missing = answer.body.len().div_ceil(2);
                let half = all.get(..all.len().saturating_sub(missing)).unwrap();
                client.write_all(half)?;
                self.wait(None);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Serves one connection until either side is done with it.
    fn serve(self: &Arc<Self>, stream: TcpStream) -> io::Result<()> {
        let mut kept = self.keep(stream)?;
        let mut reader = BufReader::new(kept.stream.try_clone()?);
        while let Some(request) = Message::read_request(&mut reader)? {
            let fault = self.note(&request);
            if !self.act(&request, &fault, &mut kept.stream)? {
                break;
            }
        }
        Ok(())
    }
}

impl State {
    /// What the rules of this name say about the next call, if any does.
    fn next(&mut self, name: &str) -> Option<Arc<Fault>> {
        let rules = self.rules.get_mut(name)?;
        loop {
            let has_more = rules.len() > 1;
            let rule = rules.front_mut()?;
            match &mut rule.times {
                Times::Always if !has_more => return Some(Arc::clone(&rule.fault)),
                Times::Next(left) if *left > 0 => {
                    *left = left.saturating_sub(1);
                    return Some(Arc::clone(&rule.fault));
                }
                Times::Always | Times::Next(_) => drop(rules.pop_front()),
            }
        }
    }
}

/// A connection that is shut when it, or the proxy, is dropped.
struct Kept {
    stream: TcpStream,
    number: u64,
    shared: Arc<Shared>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Others hold it too, so that dropping it would not close it.
        drop(self.stream.shutdown(Shutdown::Both));
        self.shared.lock().streams.remove(&self.number);
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for stream in listener.incoming() {
        let mut state = shared.lock();
        if state.is_closed {
            return;
        }
        state.threads.retain(|thread| !thread.is_finished());
        let (serving, stream) = (Arc::clone(shared), stream.unwrap());
        // That a client goes away is its own affair; what fails behind us was noted.
        let serve = move || drop(serving.serve(stream));
        state.threads.push(thread::spawn(serve));
    }
}

/// How long calls that are waited for may take.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);
