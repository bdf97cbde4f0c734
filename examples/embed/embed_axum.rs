//! The smallest host: a custodian behind three routes of axum, in one file.
//!
//! | route | who | what |
//! |---|---|---|
//! | `POST /payments` | the operator, by a bearer token | `{"id", "transaction"}`: submits an unsigned transaction |
//! | `POST /approvals` | anybody who has a statement that an approver signed | the statement |
//! | `GET /orders/{id}` | the operator, by a bearer token | how an order stands |
//!
//! Only the operator is given what was signed. Whoever brings a statement hears in a word how the
//! order stands.
//!
//! Without arguments it serves on a free port, plays the operator and two treasurers over HTTP, and
//! ends; with `--serve IP:PORT` it goes on until it is interrupted, for this machine only unless
//! `--public` follows.
//!
//! **This is a demonstration**: its house lies in a temporary directory, under a passphrase that
//! nobody keeps, and is gone with its keys when the program ends. A host that keeps its house opens
//! it again (`House::open`), and has TLS before it. This file opens secrets.
#![expect(clippy::print_stdout, reason = "a program that talks")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Path as Segment, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use custody_core::custodian::{Answer, Custodian, Error, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::id::{OrderId, PayloadFormat, PrincipalId, RequestId, WalletId};
use custody_core::order::OrderState;
use custody_core::principal::SignedStatement;
use custody_core::seam::{Authentication, Entropy as _, Payload};
use custody_core::secret::Secret;
use examples_start::entropy::OsEntropy;
use examples_start::house::House;
use examples_start::transactions::{self, bundled};
use examples_start::{Failure, hot};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The routes over a custodian; whoever has the token is the operator.
pub(crate) fn router(custodian: Custodian, operator: PrincipalId, token: &str) -> Router {
    let host = Host { custodian, operator, token: Digest::of(token.as_bytes()) };
    Router::new()
        .route("/payments", post(pay).layer(DefaultBodyLimit::max(PAYMENT_MAX)))
        .route("/approvals", post(approve).layer(DefaultBodyLimit::max(STATEMENT_MAX)))
        .route("/orders/{id}", get(order))
        .with_state(Arc::new(host))
}

struct Host {
    custodian: Custodian,
    operator: PrincipalId,
    /// Digests are compared, so that the time it takes tells nothing about the token.
    token: Digest,
}

/// Whoever has the token. It stands before all else that a route takes, so that nothing is read of
/// what others send.
struct Operator;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    /// Chosen by the caller: the same id and transaction give the same order.
    id: RequestId,
    transaction: String,
}

async fn pay(
    _: Operator,
    State(host): State<Arc<Host>>,
    Json(payment): Json<Payment>,
) -> Result<Response, Refusal> {
    let malformed = |_| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed transaction");
    let bytes = transactions::parse(&payment.transaction).map_err(malformed)?;
    let format = PayloadFormat::parse("evm/transaction").map_err(Refusal::internal)?;
    let wallet = WalletId::parse(hot::WALLET).map_err(Refusal::internal)?;
    let payload = Payload { format, bytes };
    // What the host knows of the login; here it is a token of unknown age.
    let login = Authentication { factors: 1, ..Authentication::default() };
    let request = Request::payload(host.operator.clone(), payment.id, wallet, payload);
    let answer = host.custodian.submit(request.authenticated(login)).await?;
    Ok(told(&answer, host.standing(&answer).await))
}

/// A statement is its own proof: it counts only if an approver's credential signed it. Whoever
/// brings it is given nothing that was signed.
async fn approve(
    State(host): State<Arc<Host>>,
    Json(statement): Json<SignedStatement>,
) -> Result<Response, Refusal> {
    let answer = host.custodian.approve(statement).await?;
    let outcome = host.standing(&answer).await;
    Ok(Json(json!({ "order": answer.order, "outcome": outcome })).into_response())
}

async fn order(
    _: Operator,
    State(host): State<Arc<Host>>,
    Segment(id): Segment<OrderId>,
) -> Result<Response, Refusal> {
    let answer = host.custodian.order(&id).await?;
    Ok(told(&answer, host.standing(&answer).await))
}

impl FromRequestParts<Arc<Host>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, host: &Arc<Host>) -> Result<Self, Refusal> {
        let given = parts.headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        match given.and_then(|value| value.strip_prefix(b"Bearer ")) {
            Some(token) if Digest::of(token) == host.token => Ok(Self),
            Some(_) | None => Err(Refusal::new(StatusCode::UNAUTHORIZED, "no valid token")),
        }
    }
}

impl Host {
    /// How an order stands, in a word. One that waits for nobody may be allowed, and not finished.
    async fn standing(&self, answer: &Answer) -> &'static str {
        match &answer.outcome {
            Outcome::Pending { missing } if missing.is_empty() => {
                let explained = self.custodian.explain(&answer.order).await;
                let is_allowed = explained.is_ok_and(|why| why.state == OrderState::Reserved);
                if is_allowed { "reserved" } else { "pending" }
            }
            Outcome::Pending { .. } => "pending",
            Outcome::Released(_) => "released",
            Outcome::Denied { .. } => "denied",
            Outcome::Failed { .. } => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::Expired => "expired",
            Outcome::Unknown { .. } | _ => "unknown",
        }
    }
}

/// All that the operator is told of an order, in JSON.
fn told(answer: &Answer, standing: &str) -> Response {
    let more = match &answer.outcome {
        Outcome::Released(release) => json!({
            "signed": release.signed.as_ref().map(|bytes| format!("0x{}", hex::encode(bytes))),
            "receipt": release.receipt.proof,
        }),
        Outcome::Pending { missing } => json!({ "missing": missing }),
        Outcome::Denied { rules } => json!({ "rules": rules }),
        Outcome::Failed { reason } | Outcome::Unknown { reason } => json!({ "reason": reason }),
        Outcome::Cancelled | Outcome::Expired | _ => json!({}),
    };
    let mut body = json!({ "order": answer.order, "digest": answer.digest, "outcome": standing });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    Json(body).into_response()
}

/// Why a call was refused; never the bytes that came in.
struct Refusal {
    status: StatusCode,
    body: Value,
}

impl Refusal {
    fn new(status: StatusCode, error: &str) -> Self {
        Self { status, body: json!({ "error": error }) }
    }

    fn internal(error: impl std::error::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
    }
}

impl From<Error> for Refusal {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are faults of this side")]
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::NotFound { .. } => StatusCode::NOT_FOUND,
            Error::RequestReused { .. } => StatusCode::CONFLICT,
            Error::Command(_)
            | Error::Decode(_)
            | Error::Decoder { .. }
            | Error::Ledger(_)
            | Error::Request { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let order = match &error {
            Error::Indeterminate { order } | Error::Unavailable { order } => order.as_ref(),
            Error::RequestReused { order } => Some(order),
            _ => None,
        };
        Self { status, body: json!({ "error": error.to_string(), "order": order }) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

const PAYMENT_MAX: usize = 600 * 1024;
const STATEMENT_MAX: usize = 4 * 1024;

fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(run(&directory.path().join("house")));
    // Whatever still held the store is gone with the runtime, and nothing is written any more.
    drop(runtime);
    directory.close()?;
    done
}

/// Where it is to go on serving, if it is; beyond this machine only if that is asked for.
pub(crate) fn serve_at(arguments: &[&str]) -> Result<Option<SocketAddr>, Failure> {
    let (address, is_public) = match arguments {
        [] => return Ok(None),
        ["--serve", address] => (address, false),
        ["--serve", address, "--public"] => (address, true),
        _ => return Err(USAGE.into()),
    };
    let address: SocketAddr = address.parse().map_err(|_| USAGE)?;
    if address.ip().is_loopback() || is_public {
        return Ok(Some(address));
    }
    Err("others than this machine would reach it: add --public, with TLS before it".into())
}

async fn run(directory: &Path) -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let address = serve_at(&arguments)?;
    println!("a demonstration: the house and its keys are gone when this ends");
    let house = hot::create(directory, &bundled::KNOWN).await?;
    let token = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let token = hex::encode(token.expose());
    let routes = router(house.custodian.clone(), house.operator.id().clone(), &token);
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(address.unwrap_or(free)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("serving on {url}, the operator's token is {token}");
    if address.is_some() {
        axum::serve(listener, routes).with_graceful_shutdown(interrupted()).await?;
    } else {
        let server = tokio::spawn(axum::serve(listener, routes).into_future());
        for line in demonstrate(&house, &url, &token).await? {
            println!("{line}");
        }
        server.abort();
    }
    Ok(house.custodian.close().await?)
}

async fn interrupted() {
    // Without the signal there is nothing to wait for: it stops at once.
    drop(tokio::signal::ctrl_c().await);
}

/// What the operator and two treasurers do, over HTTP.
pub(crate) async fn demonstrate(
    house: &House,
    url: &str,
    token: &str,
) -> Result<Vec<String>, Failure> {
    let client = reqwest::Client::new();
    let mut told = Vec::new();
    for (id, text) in [("small", bundled::SMALL), ("large", bundled::LARGE)] {
        let payment = json!({ "id": id, "transaction": text.trim() });
        let call = client.post(format!("{url}/payments")).bearer_auth(token).json(&payment);
        let answer: Value = call.send().await?.error_for_status()?.json().await?;
        told.push(format!("{id}: {}", text_of(&answer, "outcome")?));
        if text_of(&answer, "outcome")? != "pending" {
            continue;
        }
        let order = OrderId::parse(text_of(&answer, "order")?)?;
        // Each treasurer signs on a device of their own; any channel may bring the statement here.
        for statement in hot::approvals(house, &house.custodian.order(&order).await?)? {
            let call = client.post(format!("{url}/approvals")).json(&statement);
            let answer: Value = call.send().await?.error_for_status()?.json().await?;
            told.push(format!(
                "{} approves: {}",
                statement.statement.principal,
                text_of(&answer, "outcome")?
            ));
        }
        let call = client.get(format!("{url}/orders/{order}")).bearer_auth(token);
        let answer: Value = call.send().await?.error_for_status()?.json().await?;
        let signed = hex::decode(text_of(&answer, "signed")?.trim_start_matches("0x"))?;
        told.push(format!("fetched: signed by {}", transactions::sender(&signed)?));
    }
    Ok(told)
}

fn text_of<'a>(answer: &'a Value, field: &str) -> Result<&'a str, Failure> {
    let text = answer.get(field).and_then(Value::as_str);
    Ok(text.ok_or_else(|| format!("no {field} in {answer}"))?)
}

const USAGE: &str = "usage: embed_axum [--serve IP:PORT [--public]]; \
    it is a demonstration: the house and its keys are gone when it ends";
