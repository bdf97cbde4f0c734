use std::sync::Arc;

use custody_core::custodian::{Answer, Custodian, Error, Outcome, Request};
use custody_core::id::{DecoderId, KeyId, PayloadFormat, RequestId, WalletId};
use custody_core::replay::{ReplayError, Report};
use custody_core::seam::{ContextAccount, DecodeContext, Decoder, Payload};
use custody_testkit::decoder::{DecoderLie, LyingDecoder, TestDecoder, TestTransfer};
use custody_testkit::policy::TestRules;

use super::{furnish, genesis, replay};
use crate::host::Host;
use crate::world::words;

const RULES: &str = "allow create_wallet\nallow create_key\nallow transfer\nallow deploy\n\
                     need treasurer 1 update_policy\n";

/// A host whose decoder of the test chain lies.
struct Cheated {
    host: Host,
    custodian: Custodian,
}

impl Cheated {
    async fn new(lie: DecoderLie) -> Self {
        let mut host = Host::new();
        host.compiler = Arc::new(TestRules::new());
        let builder = host.builder().await.backend(host.backend());
        let builder = builder.decoder(Arc::new(LyingDecoder::new(lie)));
        let custodian = builder.create(genesis(&host, RULES)).await.unwrap();
        let heard = furnish(&host, &custodian, &TestTransfer::chain()).await;
        assert_eq!(heard, ["released", "released"], "{lie:?}");
        Self { host, custodian }
    }

    async fn submit(&self, id: &str, payload: Payload) -> Result<Answer, Error> {
        let (requester, id) = (self.host.people.olivia.id.clone(), RequestId::parse(id).unwrap());
        let wallet = WalletId::parse("hot").unwrap();
        self.custodian.submit(Request::payload(requester, id, wallet, payload)).await
    }

    async fn replay(&self) -> Result<Report, ReplayError> {
        let (rules, decoder) = (Arc::new(TestRules::new()), Arc::new(TestDecoder::new()));
        replay(&self.host.store, self.custodian.id(), rules, vec![decoder]).await
    }
}

/// A payload that moves one unit.
fn plain() -> Payload {
    TestTransfer::of(1, "anybody", &KeyId::parse("hot.0").unwrap(), 1).payload()
}

fn longer(payload: Payload, bytes: usize) -> Payload {
    Payload { bytes: [payload.bytes, vec![b'x'; bytes]].concat(), ..payload }
}

#[tokio::test]
async fn what_a_decoder_may_not_say_makes_no_order() {
    let other = Payload { format: PayloadFormat::parse("test/other").unwrap(), ..plain() };
    for (lie, payload, said) in [
        (DecoderLie::ForeignTasks, plain(), "a task is for a key outside the wallet"),
        (DecoderLie::ReadsEverything, other, "no decoder reads this format on this chain"),
        (DecoderLie::Unlimited, longer(plain(), 1_000_000), "an intent has 1 to 1,024 tasks"),
        (DecoderLie::WithoutEffects, plain(), "an intent has 1 to 1,024 effects"),
    ] {
        let cheated = Cheated::new(lie).await;
        let before = cheated.host.store.snapshot();
        let heard = words::of(&cheated.submit("paid", payload).await);
        assert_eq!(heard, format!("the payload cannot be decoded: {said}"), "{lie:?}");
        assert_eq!(cheated.host.store.snapshot(), before, "{lie:?}");
        assert_eq!(cheated.host.keys.sign_calls(), 0, "{lie:?}");
    }
}

#[tokio::test]
async fn a_payload_that_decodes_otherwise_the_second_time_is_not_signed() {
    let cheated = Cheated::new(DecoderLie::Impure).await;
    let answer = cheated.submit("paid", plain()).await;
    assert_eq!(words::of(&answer), "failed Corrupt");
    assert_eq!(cheated.host.keys.sign_calls(), 0);
    let noticed = cheated.replay().await;
    assert!(noticed.is_err(), "{noticed:?}");
}

#[tokio::test]
async fn bytes_that_a_decoder_left_out_are_found_by_an_honest_one() {
    let cheated = Cheated::new(DecoderLie::IgnoresTheRest).await;
    assert_eq!(words::of(&cheated.submit("plain", plain()).await), "released");
    assert_eq!(cheated.replay().await.unwrap().released, 1);
    let answer = cheated.submit("longer", longer(plain(), 3)).await;
    assert_eq!(words::of(&answer), "the payload was not decoded", "it cannot be put together");
    assert_eq!(cheated.host.keys.sign_calls(), 2, "the lie is not told");
    let noticed = cheated.replay().await;
    assert!(matches!(noticed, Err(ReplayError::Decode)), "{noticed:?}");
}

#[tokio::test]
async fn what_a_decoder_puts_together_wrongly_changes_no_signature() {
    let cheated = Cheated::new(DecoderLie::AssemblesWithout).await;
    let answer = cheated.submit("paid", plain()).await.unwrap();
    let Outcome::Released(release) = &answer.outcome else { panic!("{answer:?}") };
    assert_eq!(release.signed.as_ref(), Some(&plain().bytes), "the lie is not told");
    let context = context(&cheated);
    let intent = TestDecoder::new().decode(&plain(), &context).unwrap();
    let (task, signed) = (&intent.tasks[0], &release.signatures[0]);
    let public_key = &context.accounts[0].public_key;
    assert!(signed.signature.verify(public_key, task.input.as_input()).is_ok());
    assert_eq!(cheated.replay().await.unwrap().signatures, 1);
}

/// What an honest decoder is told about the wallet.
fn context(cheated: &Cheated) -> DecodeContext {
    let (key, wallet) = (KeyId::parse("hot.0").unwrap(), WalletId::parse("hot").unwrap());
    let public_key = cheated.custodian.key(&key).unwrap().public_key().clone();
    DecodeContext {
        v: 1,
        wallet,
        chain: TestTransfer::chain(),
        accounts: vec![ContextAccount { key, public_key, path: None }],
        descriptors: Vec::new(),
    }
}

#[tokio::test]
async fn a_payload_that_a_decoder_quotes_is_not_in_the_message_of_the_error() {
    let cheated = Cheated::new(DecoderLie::ShowsThePayload).await;
    let before = cheated.host.store.snapshot();
    let quoted = Payload { bytes: b"a customer's secret".to_vec(), ..plain() };
    let refused = cheated.submit("paid", quoted).await.unwrap_err();
    assert!(matches!(refused, Error::Decode(_)), "{refused:?}");
    assert_eq!(refused.to_string(), "the payload was not decoded");
    assert_eq!(cheated.host.store.snapshot(), before);
    assert_eq!(cheated.host.keys.sign_calls(), 0);
}

#[tokio::test]
async fn what_one_version_of_a_decoder_has_read_is_not_delivered_by_another() {
    let mut host = Host::new();
    host.compiler = Arc::new(TestRules::new());
    let honest = || Arc::new(TestDecoder::new());
    let next = Arc::new(TestDecoder::new().with_id(DecoderId::parse("test/2").unwrap()));
    let builder = host.builder().await.backend(host.backend()).decoder(honest());
    let custodian = builder.create(genesis(&host, RULES)).await.unwrap();
    furnish(&host, &custodian, &TestTransfer::chain()).await;
    let id = custodian.id();
    let request = || {
        let request = RequestId::parse("paid").unwrap();
        let wallet = WalletId::parse("hot").unwrap();
        Request::payload(host.people.olivia.id.clone(), request, wallet, plain())
    };
    let paid = custodian.submit(request()).await.unwrap();
    crate::assert_released(&paid);
    custodian.close().await.unwrap();

    let builder = host.builder().await.backend(host.backend());
    let opened = builder.decoder(next).open(id).await.unwrap();
    let refused = opened.submit(request()).await;
    assert!(matches!(refused, Err(Error::Decoder { .. })), "{refused:?}");
    opened.close().await.unwrap();

    let builder = host.builder().await.backend(host.backend());
    let opened = builder.decoder(honest()).open(id).await.unwrap();
    crate::assert_same(&opened.submit(request()).await.unwrap(), &paid);
    assert_eq!(host.keys.sign_calls(), 1);
}
