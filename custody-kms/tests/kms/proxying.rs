//! The fault proxy does what its rules say, no more and no less.
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::ports::{SilentPort, closed_port};
use crate::proxy::{ANY, Answer, Fault, Proxy, Times};

const LONG: Duration = Duration::from_secs(20);
/// How long a test looks at something that must not happen.
const SHORT: Duration = Duration::from_millis(300);

/// An endpoint that answers each call with its number, keeps what it was sent, and closes each
/// connection, as some of those do that stand in for AWS.
struct Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// Its answers have a length, or last until their connection ends.
    fn start(has_length: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&mut BufReader::new(&stream)) else { continue };
                let mut seen = kept.lock().unwrap();
                seen.push(request);
                let body = format!("{{\"call\":{}}}", seen.len());
                let length = format!("Content-Length: {}\r\n", body.len());
                let length = if has_length { &length } else { "" };
                let head = format!("HTTP/1.0 200 OK\r\nConnection: close\r\nx-one: 1\r\n{length}");
                stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
            }
        });
        Self { address, seen }
    }

    fn proxy(&self) -> Proxy {
        Proxy::before(&format!("http://{}", self.address))
    }

    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// A client with one connection.
struct Client(TcpStream);

impl Client {
    fn of(proxy: &Proxy) -> Self {
        Self::at(&proxy.url())
    }

    fn at(url: &str) -> Self {
        let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self(stream)
    }

    fn send(&mut self, operation: &str, body: &str) {
        self.0.write_all(request(operation, body).as_bytes()).unwrap();
    }

    /// The answer, unless the connection ends without one.
    fn answer(&mut self) -> Option<String> {
        read(&mut BufReader::new(&self.0))
    }

    fn call(&mut self, operation: &str) -> Option<String> {
        self.send(operation, "{}");
        self.answer()
    }

    /// Fails if anything comes in a short time, be it the end.
    fn hears_nothing(&mut self) {
        self.0.set_read_timeout(Some(SHORT)).unwrap();
        let error = self.0.read(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        self.0.set_read_timeout(Some(LONG)).unwrap();
    }

    fn is_cut_off(&mut self) -> bool {
        self.0.read(&mut [0]).map_or(true, |bytes| bytes == 0)
    }
}

fn request(operation: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: TrentService.{operation}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=KEY/20260101/r/kms/aws4_request, Signature=0\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A message of a known length, or one that lasts until the connection ends.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        if reader.read_line(&mut text).ok()? == 0 {
            return None;
        }
    }
    let lower = text.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length?.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    text.push_str(std::str::from_utf8(&body).unwrap());
    Some(text)
}

#[test]
fn a_call_reaches_the_endpoint_as_it_is_and_its_answer_the_client() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    let mut client = Client::of(&proxy);
    client.send("Sign", "{\"KeyId\":\"one\"}");
    let answer = client.answer().unwrap();
    let expected = "HTTP/1.1 200 OK\r\nx-one: 1\r\ncontent-length: 10\r\n\r\n{\"call\":1}";
    assert_eq!(answer, expected);
    assert_eq!(*upstream.seen.lock().unwrap(), [request("Sign", "{\"KeyId\":\"one\"}")]);
}

#[test]
fn calls_of_one_connection_are_listed_in_their_order() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    let mut client = Client::of(&proxy);
    for operation in ["CreateKey", "Sign", "Sign"] {
        assert!(client.call(operation).is_some());
    }
    client.send("Sign", "{\"a\":1}");
    assert!(client.answer().is_some());
    assert_eq!((proxy.calls("Sign"), proxy.calls("CreateKey"), proxy.calls("Decrypt")), (3, 1, 0));
    assert_eq!(proxy.operations(), ["CreateKey", "Sign", "Sign", "Sign"]);
    assert_eq!(proxy.bodies("Sign"), ["{}", "{}", "{\"a\":1}"]);
    assert_eq!(proxy.access_keys("CreateKey"), ["KEY"]);
}

#[test]
fn an_answer_that_ends_with_its_connection_is_given_a_length() {
    let upstream = Upstream::start(false);
    let proxy = upstream.proxy();
    let mut client = Client::of(&proxy);
    for call in 1..3 {
        let answer = client.call("Sign").unwrap();
        assert!(answer.ends_with(&format!("content-length: 10\r\n\r\n{{\"call\":{call}}}")));
    }
}

#[test]
fn a_call_that_is_lost_before_the_endpoint_is_not_seen_there() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    proxy.rule("Sign", Times::Next(1), Fault::DropBefore);
    assert_eq!(Client::of(&proxy).call("Sign"), None);
    assert_eq!((proxy.calls("Sign"), upstream.seen()), (1, 0));
    assert!(Client::of(&proxy).call("Sign").is_some());
}

#[test]
fn a_call_that_is_lost_behind_the_endpoint_is_done_there() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    proxy.rule("CreateKey", Times::Always, Fault::DropAfter);
    assert_eq!(Client::of(&proxy).call("CreateKey"), None);
    assert_eq!(Client::of(&proxy).call("CreateKey"), None);
    assert_eq!((proxy.calls("CreateKey"), upstream.seen()), (2, 2));
}

#[test]
fn a_call_that_hangs_is_done_or_not_as_the_rule_says_and_ends_with_the_proxy() {
    for (fault, done) in [(Fault::Hang, 0), (Fault::HangAfter, 1)] {
        let upstream = Upstream::start(true);
        let proxy = upstream.proxy();
        proxy.rule("Sign", Times::Next(1), fault);
        let mut client = Client::of(&proxy);
        client.send("Sign", "{}");
        proxy.wait_for("Sign", 1);
        client.hears_nothing();
        assert_eq!(upstream.seen(), done);
        // Others are served meanwhile.
        assert!(Client::of(&proxy).call("Sign").is_some());
        drop(proxy);
        assert!(client.is_cut_off());
    }
}

#[test]
fn an_answer_that_stalls_stops_within_its_body() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    proxy.rule("Decrypt", Times::Always, Fault::StallBody);
    let mut client = Client::of(&proxy);
    client.send("Decrypt", "{}");
    let mut text = String::new();
    let mut reader = BufReader::new(&client.0);
    while !text.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut text).unwrap(), 0);
    }
    let mut half = [0; 5];
    reader.read_exact(&mut half).unwrap();
    assert!(text.contains("content-length: 10\r\n"), "{text}");
    assert_eq!(half, *b"{\"cal");
    client.hears_nothing();
}

#[test]
fn an_answer_may_be_any_and_the_endpoint_does_not_see_the_call() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    let throttled = Answer::error(400, "ThrottlingException").with("retry-after", "2");
    let cases = [
        (throttled, "HTTP/1.1 400 ", "\nretry-after: 2\r", "\"__type\":\"ThrottlingException\""),
        (Answer::error(500, "KMSInternalException"), "HTTP/1.1 500 ", "KMSInternalException", "}"),
        (Answer::html(503), "HTTP/1.1 503 ", "content-type: text/html", "</html>"),
        (Answer::json("{\"KeyId\":"), "HTTP/1.1 200 ", "json", "{\"KeyId\":"),
    ];
    let mut client = Client::of(&proxy);
    for (answer, first, head, body) in cases {
        proxy.rule("Sign", Times::Next(1), answer);
        let text = client.call("Sign").unwrap();
        assert!(text.starts_with(first), "{text}");
        let (found, rest) = text.split_once("\r\n\r\n").unwrap();
        assert!(found.contains(head) && rest.contains(body), "{text}");
    }
    assert_eq!(upstream.seen(), 0);
    assert!(client.call("Sign").unwrap().starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn an_answer_that_is_changed_has_the_length_of_the_change() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    proxy.rule("Sign", Times::Always, Fault::edit(|body| body.replace("call", "a longer word")));
    let answer = Client::of(&proxy).call("Sign").unwrap();
    assert!(answer.ends_with("content-length: 19\r\n\r\n{\"a longer word\":1}"), "{answer}");
}

#[test]
fn a_call_is_delayed_and_passes() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    proxy.rule("Sign", Times::Next(1), Fault::Delay(SHORT));
    let started = Instant::now();
    assert!(Client::of(&proxy).call("Sign").is_some());
    assert!(started.elapsed() >= SHORT);
}

#[test]
fn rules_of_an_operation_follow_each_other_and_leave_others_alone() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    let error = |kind| Answer::error(400, kind);
    proxy.rule("Sign", Times::Next(2), error("One"));
    proxy.rule("Sign", Times::Next(0), error("Never"));
    proxy.rule("Sign", Times::Next(1), Fault::Pass);
    proxy.rule("Sign", Times::Always, error("Two"));
    let mut client = Client::of(&proxy);
    let mut kinds = |operation: &str, calls: usize| -> Vec<String> {
        let answers = (0..calls).map(|_| client.call(operation).unwrap());
        let kind = |text: String| {
            let known = ["One", "Two", "Three", "Never"].into_iter();
            known.filter(|kind| text.contains(&format!("\"{kind}\""))).collect::<String>()
        };
        answers.map(kind).collect()
    };
    assert_eq!(kinds("Sign", 6), ["One", "One", "", "Two", "Two", "Two"]);
    assert_eq!(kinds("Decrypt", 1), [""]);
    // One for ever lasts until the next is made.
    proxy.rule("Sign", Times::Next(1), error("Three"));
    assert_eq!(kinds("Sign", 2), ["Three", ""]);
    proxy.rule(ANY, Times::Always, error("One"));
    proxy.rule("Sign", Times::Next(1), error("Two"));
    assert_eq!(kinds("Sign", 2), ["Two", "One"]);
    assert_eq!(kinds("Decrypt", 1), ["One"]);
}

#[test]
fn calls_at_the_same_time_use_up_a_rule_together() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    proxy.rule("Sign", Times::Next(3), Answer::error(400, "One"));
    let failed = thread::scope(|scope| {
        let calls: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Client::of(&proxy).call("Sign").unwrap())).collect();
        let answers = calls.into_iter().map(|call| call.join().unwrap());
        answers.filter(|text| text.contains("One")).count()
    });
    assert_eq!((failed, proxy.calls("Sign"), upstream.seen()), (3, 8, 5));
}

#[test]
fn a_scripted_endpoint_says_what_it_was_told_to() {
    let endpoint = Proxy::scripted();
    endpoint.rule("Sign", Times::Next(1), Answer::json("{\"Signature\":\"MA==\"}"));
    endpoint.rule("Sign", Times::Always, Fault::DropBefore);
    let mut client = Client::of(&endpoint);
    assert!(client.call("Sign").unwrap().ends_with("{\"Signature\":\"MA==\"}"));
    assert_eq!(client.call("Sign"), None);
}

#[test]
#[should_panic(expected = "Decrypt: nothing was said about this call")]
fn a_scripted_endpoint_fails_when_it_is_asked_something_else() {
    let endpoint = Proxy::scripted();
    endpoint.rule("Sign", Times::Always, Answer::json("{}"));
    assert_eq!(Client::of(&endpoint).call("Decrypt"), None);
}

#[test]
#[should_panic(expected = "Sign: there is no endpoint behind this one")]
fn a_scripted_endpoint_takes_no_rule_that_needs_another_one() {
    Proxy::scripted().rule("Sign", Times::Always, Fault::DropAfter);
}

#[test]
#[should_panic(expected = "the endpoint did not answer")]
fn an_endpoint_that_is_not_there_fails_the_test() {
    let proxy = Proxy::before(&closed_port());
    assert_eq!(Client::of(&proxy).call("Sign"), None);
}

#[test]
#[should_panic(expected = "a thread of the proxy panicked")]
fn a_change_that_panics_fails_the_test() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    proxy.rule("Sign", Times::Next(1), Fault::edit(|_| panic!("not this body")));
    assert_eq!(Client::of(&proxy).call("Sign"), None);
}

#[test]
fn a_client_that_goes_away_disturbs_nobody() {
    let upstream = Upstream::start(true);
    let proxy = upstream.proxy();
    proxy.rule("Sign", Times::Next(1), Fault::Delay(SHORT));
    Client::of(&proxy).send("Sign", "{}");
    let mut half = Client::of(&proxy);
    half.0.write_all(b"POST / HTTP/1.1\r\ncontent-length: 100\r\n\r\n{").unwrap();
    drop(half);
    drop(Client::of(&proxy));
    assert!(Client::of(&proxy).call("Sign").is_some());
}

#[test]
fn nobody_serves_any_more_when_the_proxy_is_gone() {
    let proxy = Proxy::scripted();
    let url = proxy.url();
    let mut idle = Client::of(&proxy);
    drop(proxy);
    assert!(idle.is_cut_off());
    assert!(TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err());
}

#[test]
fn a_closed_port_refuses_and_a_silent_one_takes_connections_and_says_nothing() {
    let closed = closed_port();
    let error = TcpStream::connect(closed.strip_prefix("http://").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let silent = SilentPort::open();
    let mut client = Client::at(&silent.url());
    client.send("Sign", "{}");
    client.hears_nothing();
}
