use custody_core::id::{
    BackendId, BackendIdentity, BookId, CredentialId, CustodianId, DecoderId, EngineId,
    ExtensionName, KekId, KeyId, OrderId, OrganisationId, PayloadFormat, PolicyId, PrincipalId,
    RequestId, RoleId, RuleId, TierId, WalletId,
};
use proptest::prelude::{Strategy, any};

use super::arb_digest;

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident: $id:ident = $pattern:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name() -> impl Strategy<Value = $id> {
            $pattern.prop_map(|text| $id::parse(&text).unwrap())
        }
    )*};
}

text_ids! {
    /// Any id of a backend.
    arb_backend_id: BackendId = "[a-z0-9_.@-]{1,64}";
    /// Any identity of a backend.
    arb_backend_identity: BackendIdentity = "[A-Za-z0-9_.:/@+-]{1,200}";
    /// Any id of an address book.
    arb_book_id: BookId = "[a-z0-9_.@-]{1,64}";
    /// Any id of a credential.
    arb_credential_id: CredentialId = "[a-z0-9_.@-]{1,64}";
    /// Any id of a decoder.
    arb_decoder_id: DecoderId = "[A-Za-z0-9_.:/@+-]{1,64}";
    /// Any id of a policy engine.
    arb_engine_id: EngineId = "[A-Za-z0-9_.:/@+-]{1,96}";
    /// Any name of an extension command.
    arb_extension_name: ExtensionName = "[A-Za-z0-9_.:/@+-]{1,64}";
    /// Any id of a key that encrypts keys.
    arb_kek_id: KekId = "[A-Za-z0-9_.:/@+-]{1,200}";
    /// Any id of a key.
    arb_key_id: KeyId = "[a-z0-9_.@-]{1,64}";
    /// Any id of an organisation.
    arb_organisation_id: OrganisationId = "[a-z0-9_.@-]{1,64}";
    /// Any format of a payload.
    arb_payload_format: PayloadFormat = "[A-Za-z0-9_.:/@+-]{1,64}";
    /// Any id of a principal.
    arb_principal_id: PrincipalId = "[a-z0-9_.@-]{1,64}";
    /// Any id of a request.
    arb_request_id: RequestId = "[A-Za-z0-9_.:/@+-]{1,128}";
    /// Any role.
    arb_role_id: RoleId = "[a-z0-9_]{1,32}";
    /// Any id of a rule.
    arb_rule_id: RuleId = "[a-z0-9_.@-]{1,64}";
    /// Any tier.
    arb_tier_id: TierId = "[a-z0-9_]{1,32}";
    /// Any id of a wallet.
    arb_wallet_id: WalletId = "[a-z0-9_.@-]{1,64}";
}

/// Any id of an order: a UUIDv7 (RFC 9562, section 5.7).
pub fn arb_order_id() -> impl Strategy<Value = OrderId> {
    any::<u128>().prop_map(|bits| {
        let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x7 << 76 | 0x2 << 62;
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
        let (fourth, last) = (low >> 48, low & 0xffff_ffff_ffff);
        let text = format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{last:012x}");
        OrderId::parse(&text).unwrap()
    })
}

/// Any id of a custodian.
pub fn arb_custodian_id() -> impl Strategy<Value = CustodianId> {
    arb_digest().prop_map(CustodianId::new)
}

/// Any id of a rule set.
pub fn arb_policy_id() -> impl Strategy<Value = PolicyId> {
    arb_digest().prop_map(PolicyId::new)
}
