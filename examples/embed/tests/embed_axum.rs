//! The smallest host, over HTTP: what it does, and what it refuses.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[expect(dead_code, reason = "the program around the host is not run here")]
#[path = "../embed_axum.rs"]
mod embed_axum;

use examples_start::hot;
use examples_start::house::House;
use examples_start::transactions::bundled;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

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
