//! Handles of native keys.
//!
//! Layout, version 1: version (1 byte) ‖ binding (32 bytes) ‖ the key's ARN as text. The binding is a
//! digest of custodian, wallet, key id, algorithm and ARN: a handle that was made for another key is
//! found without a call. It is no secret and proves nothing; the recorded public key does.

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId, WalletId};
use custody_core::seam::{KeyHandle, KeyRecord, KeyRequest};

use crate::arn::KeyArn;

/// What a handle is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) custodian: &'a CustodianId,
    pub(crate) wallet: &'a WalletId,
    pub(crate) key: &'a KeyId,
    pub(crate) algorithm: Algorithm,
}

impl<'a> Owner<'a> {
    pub(crate) const fn of_request(request: &'a KeyRequest) -> Self {
        let KeyRequest { custodian, wallet, key, algorithm, .. } = request;
        Self { custodian, wallet, key, algorithm: *algorithm }
    }

    pub(crate) const fn of_record(record: &'a KeyRecord) -> Self {
        let KeyRecord { custodian, wallet, key, public_key, .. } = record;
        Self { custodian, wallet, key, algorithm: public_key.algorithm() }
    }

    /// The handle of this owner's key.
    pub(crate) fn write(&self, arn: &KeyArn) -> KeyHandle {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(self.binding(arn.as_str()).as_bytes());
        bytes.extend_from_slice(arn.as_str().as_bytes());
        KeyHandle::new(bytes)
    }

    /// The key that a handle names, if it was made for this owner.
    pub(crate) fn read(&self, handle: &KeyHandle) -> Result<KeyArn, HandleError> {
        let [VERSION, rest @ ..] = handle.as_bytes() else { return Err(HandleError::Malformed) };
        let (binding, arn) = rest.split_first_chunk::<32>().ok_or(HandleError::Malformed)?;
        let arn = std::str::from_utf8(arn).map_err(|_| HandleError::Malformed)?;
        let arn = KeyArn::parse(arn).map_err(|_| HandleError::Malformed)?;
        if self.binding(arn.as_str()).as_bytes() != binding {
            return Err(HandleError::Binding);
        }
        Ok(arn)
    }

    fn binding(&self, arn: &str) -> Digest {
        let fields = [
            self.custodian.digest().as_bytes(),
            self.wallet.as_str().as_bytes(),
            self.key.as_str().as_bytes(),
            self.algorithm.as_str().as_bytes(),
            arn.as_bytes(),
        ];
        Digest::tagged(BINDING, &fields)
    }
}

/// Why a handle is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandleError {
    #[error("the handle was made for another custodian, wallet, key or algorithm")]
    Binding,
    #[error("the handle is malformed")]
    Malformed,
}

const VERSION: u8 = 1;
const BINDING: &str = "custody/kms/handle/v1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";

    fn with<T>(change: impl FnOnce(&mut KeyRequest), f: impl FnOnce(&Owner<'_>) -> T) -> T {
        let mut request = KeyRequest {
            custodian: CustodianId::new(Digest::of(b"house")),
            wallet: WalletId::parse("hot").unwrap(),
            key: KeyId::parse("one").unwrap(),
            algorithm: Algorithm::EcdsaSecp256k1,
            exportability: custody_core::seam::Exportability::Never,
        };
        change(&mut request);
        f(&Owner::of_request(&request))
    }

    #[test]
    fn a_handle_of_another_owner_is_refused() {
        let arn = KeyArn::parse(ARN).unwrap();
        let handle = with(|_| {}, |owner| owner.write(&arn));
        assert_eq!(with(|_| {}, |owner| owner.read(&handle)), Ok(arn));
        let others: [fn(&mut KeyRequest); 4] = [
            |request| request.custodian = CustodianId::new(Digest::of(b"other")),
            |request| request.wallet = WalletId::parse("cold").unwrap(),
            |request| request.key = KeyId::parse("two").unwrap(),
            |request| request.algorithm = Algorithm::EcdsaP256,
        ];
        for change in others {
            assert_eq!(with(change, |owner| owner.read(&handle)), Err(HandleError::Binding));
        }
    }

    #[test]
    fn each_changed_byte_is_refused() {
        let arn = KeyArn::parse(ARN).unwrap();
        let handle = with(|_| {}, |owner| owner.write(&arn));
        for position in 0..handle.as_bytes().len() {
            let mut bytes = handle.as_bytes().to_vec();
            bytes[position] ^= 1;
            let read = with(|_| {}, |owner| owner.read(&KeyHandle::new(bytes)));
            assert!(read.is_err(), "byte {position}");
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read = with(|_| {}, |owner| owner.read(&KeyHandle::new(bytes)));
            prop_assert!(read.is_err());
        }
    }
}
