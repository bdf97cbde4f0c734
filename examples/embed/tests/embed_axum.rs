//! The smallest host, over HTTP: what it does, and what it refuses.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[expect(dead_code, reason = "the program around the host is not run here")]
#[path = "../embed_axum.rs"]
mod embed_axum;
#[path = "../../start/tests/left/gate.rs"]
mod gate;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use custody_core::caip::ChainId;
use custody_core::command::Command;
use custody_core::custodian::{Answer, Request};
use custody_core::id::{BackendId, KeyId, RequestId, TierId, WalletId};
use custody_core::secret::Secret;
use examples_start::hot;
use examples_start::house::House;
use examples_start::transactions::bundled;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use gate::Gate;

const TOKEN: &str = "a token of tests";

/// A host that serves.
struct Serving {
    house: House,
    url: String,
    client: Client,
    _directory: TempDir,
}

impl Serving {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let house = hot::create(&directory.path().join("house"), &bundled::KNOWN).await.unwrap();
        Self::of(house, directory).await
    }

    /// Of an empty house whose randomness goes through a gate.
    async fn behind(gate: &Arc<Gate>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (place, passphrase) = (directory.path().join("house"), Secret::new(vec![b'p'; 32]));
        let entropy = Arc::<Gate>::clone(gate);
        let house = House::open_drawing(&place, passphrase, entropy).await.unwrap();
        Self::of(house, directory).await
    }

    async fn of(house: House, directory: TempDir) -> Self {
        let operator = house.operator.id().clone();
        let routes = embed_axum::router(house.custodian.clone(), operator, TOKEN);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, routes).into_future());
        Self { house, url, client: Client::new(), _directory: directory }
    }

    async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let call = self.client.request(method, format!("{}{path}", self.url));
        let answer = call.bearer_auth(token).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    async fn approve(&self, statement: &Value) -> (u16, Value) {
        self.call(Method::POST, "/approvals", "", statement).await
    }

    async fn order(&self, order: &Value) -> Value {
        let path = format!("/orders/{}", order.as_str().unwrap());
        let (status, told) = self.call(Method::GET, &path, TOKEN, &Value::Null).await;
        assert_eq!(status, StatusCode::OK.as_u16());
        told
    }

    /// Asks for a wallet with a seed, which is drawn once a treasurer has approved.
    async fn ask_for_wallet(&self) -> Answer {
        let command = Command::CreateWallet {
            wallet: WalletId::parse("cold").unwrap(),
            chain: ChainId::parse("eip155:1").unwrap(),
            tier: TierId::parse("cold").unwrap(),
            backend: BackendId::parse("software").unwrap(),
            seed: Some(KeyId::parse("cold.seed").unwrap()),
        };
        let (operator, id) = (self.house.operator.id().clone(), RequestId::parse("cold").unwrap());
        self.house.custodian.submit(Request::command(operator, id, command)).await.unwrap()
    }

    async fn pay(&self, id: &str, transaction: &str) -> (u16, Value) {
        let payment = json!({ "id": id, "transaction": transaction });
        self.call(Method::POST, "/payments", TOKEN, &payment).await
    }
}

#[tokio::test]
async fn a_payment_is_submitted_approved_and_fetched() {
    let serving = Serving::new().await;
    let told = embed_axum::demonstrate(&serving.house, &serving.url, TOKEN).await.unwrap();
    assert_eq!(
        told[..4],
        ["small: released", "large: pending", "theo approves: pending", "tara approves: released"]
    );
    assert!(told[4].starts_with("fetched: signed by 0x"), "{told:?}");
    // The same again is the same order; it is not signed anew.
    let (status, again) = serving.pay("large", bundled::LARGE.trim()).await;
    assert_eq!((status, again["outcome"].as_str()), (200, Some("released")));
}

#[tokio::test]
async fn who_has_no_token_gets_nothing() {
    let serving = Serving::new().await;
    let payment = json!({ "id": "one", "transaction": bundled::SMALL.trim() });
    let order = serving.pay("known", bundled::SMALL.trim()).await.1["order"].clone();
    let path = format!("/orders/{}", order.as_str().unwrap());
    for token in ["", "another token", "A token of tests", "a token of tests."] {
        for (method, path) in [(Method::POST, "/payments"), (Method::GET, path.as_str())] {
            let (status, body) = serving.call(method, path, token, &payment).await;
            assert_eq!((status, &body), (401, &json!({ "error": "no valid token" })), "{token:?}");
        }
    }
    let (status, _) = serving.call(Method::GET, &path, TOKEN, &Value::Null).await;
    assert_eq!(status, StatusCode::OK.as_u16());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_is_refused_before_the_body_is_read() {
    let serving = Serving::new().await;
    let address = serving.url.trim_start_matches("http://");
    for start in [
        "POST /payments HTTP/1.1\r\n",
        "POST /payments HTTP/1.1\r\nauthorization: Bearer another token\r\n",
        "GET /orders/no-order HTTP/1.1\r\n",
    ] {
        // No more than the head is sent: who waited for the body would give no answer.
        let rest = "content-type: application/json\r\ncontent-length: 500000\r\n\r\n";
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(format!("{start}host: {address}\r\n{rest}").as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401", "{start}");
    }
    for body in ["", "{", "null", "[[[[[["] {
        let call = serving.client.post(format!("{}/payments", serving.url)).bearer_auth("another");
        let call = call.header("content-type", "application/json").body(body);
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{body}");
        let told: Value = answer.json().await.unwrap();
        assert_eq!(told, json!({ "error": "no valid token" }), "{body}");
    }
}

#[tokio::test]
async fn who_brings_a_statement_hears_how_the_order_stands_and_nothing_that_was_signed() {
    let serving = Serving::new().await;
    let (_, large) = serving.pay("large", bundled::LARGE.trim()).await;
    let order = large["order"].as_str().unwrap().parse().unwrap();
    let answer = serving.house.custodian.order(&order).await.unwrap();
    let statements = hot::approvals(&serving.house, &answer).unwrap();
    let [theo, tara] = statements.map(|said| serde_json::to_value(said).unwrap());
    for (statement, outcome) in [(&theo, "pending"), (&tara, "released"), (&tara, "released")] {
        let told = json!({ "order": large["order"], "outcome": outcome });
        assert_eq!(serving.approve(statement).await, (200, told));
    }
    let told = serving.order(&large["order"]).await;
    assert!(told["signed"].is_string() && told["receipt"].is_string(), "{told}");
    let long = json!({ "statement": "0".repeat(5 * 1024) });
    assert_eq!(serving.approve(&long).await.0, 413);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_order_that_is_allowed_and_not_finished_is_told_from_one_that_waits() {
    let gate = Arc::new(Gate::default());
    let serving = Serving::behind(&gate).await;
    let asked = serving.ask_for_wallet().await;
    let order = json!(asked.order);
    let told = serving.order(&order).await;
    assert_eq!(told["outcome"], "pending");
    assert_ne!(told["missing"], json!([]));

    let [theo, _] = hot::approvals(&serving.house, &asked).unwrap();
    let theo = serde_json::to_value(theo).unwrap();
    gate.shut();
    let meanwhile = async {
        gate.reached().await;
        let told = serving.order(&order).await;
        gate.open();
        told
    };
    let (approved, told) = tokio::join!(serving.approve(&theo), meanwhile);
    assert_eq!(told["outcome"], "reserved", "{told}");
    assert_eq!(approved, (200, json!({ "order": order, "outcome": "released" })));
}

#[test]
fn it_serves_this_machine_only_unless_it_is_told_otherwise() {
    let at = |address: &str| Ok(Some(address.parse::<SocketAddr>().unwrap()));
    for (arguments, expected) in [
        (&[][..], Ok(None)),
        (&["--serve", "127.0.0.1:8080"], at("127.0.0.1:8080")),
        (&["--serve", "[::1]:8080"], at("[::1]:8080")),
        (&["--serve", "127.0.0.1:8080", "--public"], at("127.0.0.1:8080")),
        (&["--serve", "0.0.0.0:8080", "--public"], at("0.0.0.0:8080")),
        (&["--serve", "0.0.0.0:8080"], Err(())),
        (&["--serve", "[::]:8080"], Err(())),
        (&["--serve", "192.0.2.1:8080"], Err(())),
        (&["--serve", "here"], Err(())),
        (&["--serve"], Err(())),
        (&["--public"], Err(())),
    ] {
        assert_eq!(embed_axum::serve_at(arguments).map_err(drop), expected, "{arguments:?}");
    }
}

#[tokio::test]
async fn what_is_malformed_unknown_or_reused_is_refused_by_its_own_status() {
    let serving = Serving::new().await;
    let small = bundled::SMALL.trim();
    assert_eq!(serving.pay("one", small).await.0, 200);
    let cut = small.split_at(small.len() - 2).0;
    for (name, id, transaction, status) in [
        ("no hex", "two", "0xzz", 422),
        ("no transaction", "three", "0x02", 422),
        ("a byte too few", "four", cut, 422),
        ("the id of another", "one", bundled::LARGE.trim(), 409),
        ("no id", "", small, 422),
    ] {
        assert_eq!(serving.pay(id, transaction).await.0, status, "{name}");
    }
    let unknown = json!({ "id": "five", "transaction": small, "wallet": "cold" });
    assert_eq!(serving.call(Method::POST, "/payments", TOKEN, &unknown).await.0, 422);
    let long = "00".repeat(400 * 1024);
    assert_eq!(serving.pay("six", &long).await.0, 413);
    let nobody = "/orders/00000000-0000-0000-0000-000000000000";
    assert_eq!(serving.call(Method::GET, nobody, TOKEN, &Value::Null).await.0, 404);
    let (status, denied) = serving.pay("seven", bundled::ALLOWANCE.trim()).await;
    assert_eq!((status, denied["outcome"].as_str()), (200, Some("denied")));
}

#[tokio::test]
async fn a_statement_that_was_changed_does_not_count() {
    let serving = Serving::new().await;
    let (_, large) = serving.pay("large", bundled::LARGE.trim()).await;
    let order = large["order"].as_str().unwrap().parse().unwrap();
    let answer = serving.house.custodian.order(&order).await.unwrap();
    let [theo, _] = hot::approvals(&serving.house, &answer).unwrap();
    let good = serde_json::to_value(&theo).unwrap();
    let mut changed = [good.clone(), good.clone(), good.clone()];
    changed[0]["statement"]["principal"] = json!("tara");
    changed[1]["statement"]["digest"] = json!("00".repeat(32));
    changed[2]["statement"]["role"] = json!("operator");
    for statement in changed {
        let (status, body) = serving.call(Method::POST, "/approvals", "", &statement).await;
        assert!(status == 422, "{status} {body}");
    }
    let (status, body) = serving.call(Method::POST, "/approvals", "", &good).await;
    assert_eq!((status, body["outcome"].as_str()), (200, Some("pending")));
    let (_, body) = serving.call(Method::POST, "/approvals", "", &json!({ "statement": 1 })).await;
    assert_eq!(body, Value::Null);
}
