//! The token, and the mechanisms that custody uses.

use cryptoki::mechanism::MechanismType;
use examples_hsm::Failure;
use examples_hsm::answer;
use examples_hsm::bare::Bare;

use crate::row::{Row, Topic};

/// What the token says about itself.
pub(crate) fn token(bare: &Bare) -> Row {
    let info = bare.info();
    let told = format!(
        "{} {}, firmware {}, serial {}",
        info.manufacturer_id(),
        info.model(),
        info.firmware_version(),
        info.serial_number()
    );
    Row::new(Topic::Token, info.label(), true, told)
}

/// Whether each mechanism is listed, for keys of which sizes.
pub(crate) fn rows(bare: &Bare) -> Result<Vec<Row>, Failure> {
    let listed = bare.client().get_mechanism_list(bare.slot())?;
    let rows = MECHANISMS.into_iter().map(|(mechanism, name, purpose)| {
        if !listed.contains(&mechanism) {
            return Row::new(Topic::Mechanism, name, false, format!("{purpose}; not listed"));
        }
        match bare.client().get_mechanism_info(bare.slot(), mechanism) {
            Ok(info) => {
                let (least, largest) = (info.min_key_size(), info.max_key_size());
                let told = format!("{purpose}; keys of {least} to {largest}");
                Row::new(Topic::Mechanism, name, true, told).sizes(least, largest)
            }
            Err(error) => {
                let told = format!("{purpose}; {}", answer::name(&error));
                Row::new(Topic::Mechanism, name, false, told)
            }
        }
    });
    Ok(rows.collect())
}

const MECHANISMS: [(MechanismType, &str, &str); 7] = [
    (MechanismType::ECC_KEY_PAIR_GEN, "CKM_EC_KEY_PAIR_GEN", "makes keys of secp256k1 and P-256"),
    (MechanismType::ECDSA, "CKM_ECDSA", "signs with them"),
    (MechanismType::ECC_EDWARDS_KEY_PAIR_GEN, "CKM_EC_EDWARDS_KEY_PAIR_GEN", "makes Ed25519 keys"),
    (MechanismType::EDDSA, "CKM_EDDSA", "signs with them"),
    (MechanismType::AES_KEY_GEN, "CKM_AES_KEY_GEN", "makes keys that encrypt or wrap"),
    (MechanismType::AES_GCM, "CKM_AES_GCM", "encrypts data keys"),
    (MechanismType::AES_KEY_WRAP_PAD, "CKM_AES_KEY_WRAP_PAD", "wraps keys for a backup"),
];
