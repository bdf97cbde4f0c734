//! Signers that are asked over HTTP, told by a template.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_bench::harness::http::Template;
use custody_bench::harness::{Answer, Job, Manner, Peer, Target, Wrong};
use custody_core::crypto::Algorithm;

/// Reads a template.
pub(super) fn read(path: &Path, algorithm: Algorithm) -> Result<Peer, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let template = Template::parse(&text, algorithm).map_err(|error| error.to_string())?;
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        // What is measured is the signer, and nothing between.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let client = client.map_err(|error| error.to_string())?;
    let name = template.name().to_owned();
    Ok(Peer::new(name, Arc::new(Signer { template, client })))
}

#[derive(Debug)]
struct Signer {
    template: Template,
    client: reqwest::Client,
}

#[async_trait]
impl Target for Signer {
    fn manner(&self) -> Manner {
        Manner::Tasks
    }

    async fn sign(&self, job: &Job) -> Result<Answer, String> {
        let mut request = self.client.post(self.template.url()).body(self.template.body(job));
        for (name, value) in self.template.headers() {
            request = request.header(name, value);
        }
        // The place may have a password in it.
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let answer = request.send().await.map_err(failed)?;
        let mut answer = answer.error_for_status().map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST {
                return Err("the answer is longer than 64 KiB".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        let signature = self.template.signature(&body);
        signature.map(Answer::Bytes).map_err(|error| error.to_string())
    }

    fn verify(&self, job: &Job, answer: &Answer) -> Result<(), Wrong> {
        let Answer::Bytes(bytes) = answer else {
            return Err(Wrong::new("it is of another form"));
        };
        self.template.verify(job, bytes)
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: usize = 64 * 1024;
