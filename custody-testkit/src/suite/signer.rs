//! The checks of [`Signer`].

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use custody_core::crypto::{SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::seam::{ErrorKind, Signer, TaskInput};
use futures::future::join_all;

use crate::key::TestKey;
use crate::suite::assert_hidden;

/// Makes every check of a signer a test of its own.
///
/// `$make` is evaluated for each test, may `.await`, and yields a [`SignerFixture`]. Put each use
/// in a module of its own. A backend's signers are checked by
/// [`key_backend_suite!`](crate::key_backend_suite) already.
///
/// What needs a device or a service says so: `signer_suite!(ignore = "needs …"; $make)` gives each
/// test the attribute `#[ignore]` with this reason.
#[macro_export]
macro_rules! signer_suite {
    (ignore = $reason:literal; $make:expr) => {
        $crate::signer_suite! { @checks [ignore = $reason] $make }
    };
    ($make:expr) => {
        $crate::signer_suite! { @checks [] $make }
    };
    (@checks [$($attribute:meta)?] $make:expr) => {
        $crate::signer_suite! { @tests [$($attribute)?] $make;
            a_signature_is_over_its_input_only
            a_signature_verifies_under_the_signers_key
            inputs_at_the_limits_are_signed
            inputs_past_the_limits_are_refused
            signing_twice_gives_two_signatures_that_verify
            sixteen_callers_get_their_own_signatures
            the_algorithm_is_the_public_keys
            the_wrong_kind_of_input_is_unsupported
        }
    };
    (@tests $attribute:tt $make:expr; $($check:ident)*) => {$(
        $crate::signer_suite! { @test $attribute $make; $check }
    )*};
    (@test [$($attribute:meta)?] $make:expr; $check:ident) => {
        #[test]
        $(#[$attribute])?
        fn $check() {
            $crate::suite::run(stringify!($check), async {
                $crate::suite::signer::$check($make).await
            });
        }
    };
}

/// What the signer suite needs.
#[derive(Clone)]
pub struct SignerFixture {
    signer: Arc<dyn Signer>,
    /// None if nothing was declared: then messages of some lengths must be signed.
    message_bytes: Option<RangeInclusive<usize>>,
}

impl SignerFixture {
    /// A signer that signs messages of 0 to 4,096 bytes, or digests.
    #[must_use]
    pub fn new(signer: Arc<dyn Signer>) -> Self {
        Self { signer, message_bytes: None }
    }

    /// The lengths of messages that it signs, if it signs messages. One byte less and one byte
    /// more must be refused; with no limit of its own a signer keeps the default.
    #[must_use]
    pub fn with_message_bytes(mut self, lengths: RangeInclusive<usize>) -> Self {
        self.message_bytes = Some(lengths);
        self
    }

    /// The lengths of messages that it signs.
    fn lengths(&self) -> RangeInclusive<usize> {
        self.message_bytes.clone().unwrap_or(USUAL)
    }

    /// An input of the kind that the signer signs, which begins with `seed`.
    fn input(&self, seed: u64) -> TaskInput {
        let digest = Digest::of(&seed.to_be_bytes());
        if self.signer.algorithm().signs_prehash() {
            return TaskInput::Prehash(*digest.as_bytes());
        }
        TaskInput::Message(digest.as_bytes().to_vec())
    }

    async fn sign(&self, input: &TaskInput) -> Signature {
        let case = format!("{} over {input:?}", self.signer.algorithm());
        let answer = self.signer.sign(input.as_input()).await;
        let signature = answer.unwrap_or_else(|error| panic!("{case}: {error}"));
        signature
            .checked(self.signer.public_key(), input.as_input())
            .unwrap_or_else(|error| panic!("{case}: {error}"))
    }
}

impl fmt::Debug for SignerFixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerFixture").field("signer", &self.signer).finish_non_exhaustive()
    }
}

/// The signer's algorithm is its public key's, and both stay.
pub async fn the_algorithm_is_the_public_keys(fixture: SignerFixture) {
    let before = fixture.signer.public_key().clone();
    assert_eq!(fixture.signer.algorithm(), before.algorithm());
    fixture.sign(&fixture.input(1)).await;
    assert_eq!(*fixture.signer.public_key(), before);
    assert_eq!(fixture.signer.algorithm(), before.algorithm());
}

/// Signatures over many inputs verify under the signer's public key.
pub async fn a_signature_verifies_under_the_signers_key(fixture: SignerFixture) {
    for seed in 0..16 {
        let signature = fixture.sign(&fixture.input(seed)).await;
        assert_eq!(signature.algorithm(), fixture.signer.algorithm());
    }
}

/// A signature verifies neither for another input nor under another key.
pub async fn a_signature_is_over_its_input_only(fixture: SignerFixture) {
    let (one, two) = (fixture.input(1), fixture.input(2));
    let signature = fixture.sign(&one).await;
    let own = fixture.signer.public_key();
    assert!(signature.verify(own, two.as_input()).is_err(), "it verifies for another input");
    let other = TestKey::seeded(own.algorithm(), 99);
    let verified = signature.verify(other.public_key(), one.as_input());
    assert!(verified.is_err(), "it verifies under another key");
}

/// A message for an algorithm that signs digests, and the other way round, is `Unsupported`.
pub async fn the_wrong_kind_of_input_is_unsupported(fixture: SignerFixture) {
    let inputs = match fixture.signer.algorithm().signs_prehash() {
        true => vec![SignInput::Message(b""), SignInput::Message(&[7; 32])],
        false => vec![SignInput::Prehash(&[0; 32]), SignInput::Prehash(&[7; 32])],
    };
    for input in inputs {
        let error = fixture.signer.sign(input).await.expect_err("the wrong kind was signed");
        assert_hidden(&error, input.as_bytes(), "the wrong kind of input");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{input:?}");
    }
}

/// Messages of the shortest, the longest and usual lengths, and digests that are zero or above
/// the order of the curve, are signed.
pub async fn inputs_at_the_limits_are_signed(fixture: SignerFixture) {
    if fixture.signer.algorithm().signs_prehash() {
        for fill in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            fixture.sign(&TaskInput::Prehash([fill; 32])).await;
        }
        return;
    }
    let lengths = fixture.lengths();
    let (least, most) = (*lengths.start(), *lengths.end());
    let usual = [1, 31, 32, 33, 63, 64, 65, 200, 1_232];
    let usual = usual.into_iter().filter(|length| lengths.contains(length));
    for length in usual.chain([least, most]) {
        fixture.sign(&TaskInput::Message(vec![0xa5; length])).await;
    }
}

/// Messages one byte outside of declared lengths are refused; without declared limits longer ones
/// are signed.
pub async fn inputs_past_the_limits_are_refused(fixture: SignerFixture) {
    if fixture.signer.algorithm().signs_prehash() {
        return the_wrong_kind_of_input_is_unsupported(fixture).await;
    }
    let declared = fixture.message_bytes.is_some();
    let (least, most) = fixture.lengths().into_inner();
    for length in least.checked_sub(1).into_iter().chain([most + 1]) {
        let message = TaskInput::Message(vec![0xa5; length]);
        if !declared {
            fixture.sign(&message).await;
            continue;
        }
        let answer = fixture.signer.sign(message.as_input()).await;
        let kind = answer.expect_err("a message past the declared limits was signed").kind();
        let refused = matches!(kind, ErrorKind::Refused | ErrorKind::Unsupported);
        assert!(refused, "{length} bytes: {kind:?}");
    }
}

/// One input signed twice gives two signatures that verify, the same or not.
pub async fn signing_twice_gives_two_signatures_that_verify(fixture: SignerFixture) {
    let input = fixture.input(1);
    fixture.sign(&input).await;
    fixture.sign(&input).await;
}

/// Sixteen callers at once each get a signature over their own input.
pub async fn sixteen_callers_get_their_own_signatures(fixture: SignerFixture) {
    let tasks = (0..16).map(|caller| {
        let fixture = fixture.clone();
        tokio::spawn(async move {
            for round in 0..4 {
                fixture.sign(&fixture.input(caller * 100 + round)).await;
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
}

/// What every signer of messages signs unless it declares other lengths.
const USUAL: RangeInclusive<usize> = 0..=4_096;
