//! Calls that change who may do what with a contract, or which code it runs.
//!
//! Invariant: the selector alone makes a call `administer`; arguments are only told if they are
//! encoded as they must be.

use super::Call;
use crate::evm::EvmError;
use crate::evm::abi;
use crate::evm::story::Story;

/// Tells of a call that administers, if it is one.
pub(super) fn describe(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    let Some((selector, _)) = call.data.split_first_chunk::<4>() else { return Ok(false) };
    let Some((_, signature)) = FUNCTIONS.iter().find(|(known, _)| known == selector) else {
        return Ok(false);
    };
    let arguments = abi::arguments_of(signature, call.data).unwrap_or_default();
    story.administer(call.function(), arguments)?;
    Ok(true)
}

/// Selectors, sorted, and signatures.
const FUNCTIONS: [([u8; 4], &str); 59] = [
    ([0x07, 0x8d, 0xfb, 0xe7], "transferOwnership(address newOwner, bool direct, bool renounce)"),
    ([0x08, 0x6c, 0xfc, 0xa8], "setAvatar(address avatar)"),
    ([0x0d, 0x58, 0x2f, 0x13], "addOwnerWithThreshold(address owner, uint256 threshold)"),
    ([0x0e, 0x18, 0xb6, 0x81], "acceptAdmin()"),
    ([0x13, 0xaf, 0x40, 0x35], "setOwner(address newOwner)"),
    ([0x17, 0xa6, 0x8d, 0xd8], "changeImplementation(address newImplementation)"),
    ([0x1e, 0x4e, 0x00, 0x91], "setRoleAdmin(bytes32 role, bytes32 adminRole)"),
    (
        [0x1f, 0x93, 0x1c, 0x1c],
        "diamondCut((address,uint8,bytes4[])[] diamondCut, address init, bytes calldata)",
    ),
    ([0x28, 0x3d, 0x62, 0xad], "setPoolAdmin(address admin)"),
    ([0x2f, 0x2f, 0xf1, 0x5d], "grantRole(bytes32 role, address account)"),
    ([0x30, 0x92, 0xaf, 0xd5], "removeMinter(address account)"),
    ([0x35, 0xda, 0x33, 0x94], "setEmergencyAdmin(address emergencyAdmin)"),
    ([0x36, 0x56, 0x8a, 0xbe], "renounceRole(bytes32 role, address account)"),
    ([0x36, 0x59, 0xcf, 0xe6], "upgradeTo(address newImplementation)"),
    ([0x4d, 0xd1, 0x8b, 0xf5], "setPendingAdmin(address newAdmin)"),
    ([0x4e, 0x44, 0xd9, 0x56], "configureMinter(address minter, uint256 minterAllowedAmount)"),
    ([0x4e, 0x71, 0xe0, 0xc8], "claimOwnership()"),
    ([0x4f, 0x1e, 0xf2, 0x86], "upgradeToAndCall(address newImplementation, bytes data)"),
    ([0x55, 0x4b, 0xab, 0x3c], "updatePauser(address newPauser)"),
    ([0x5a, 0xef, 0x02, 0x1f], "setLendingPoolImpl(address pool)"),
    ([0x5d, 0xb0, 0xcb, 0x94], "setSafe(address safe)"),
    ([0x5d, 0xcc, 0x52, 0x8c], "setAddressAsProxy(bytes32 id, address implementationAddress)"),
    ([0x61, 0x0b, 0x59, 0x25], "enableModule(address module)"),
    ([0x63, 0x4e, 0x93, 0xda], "beginDefaultAdminTransfer(address newAdmin)"),
    ([0x64, 0x9a, 0x5e, 0xc7], "changeDefaultAdminDelay(uint48 newDelay)"),
    ([0x69, 0x4e, 0x80, 0xc3], "changeThreshold(uint256 threshold)"),
    ([0x70, 0x4b, 0x6c, 0x02], "setAdmin(address newAdmin)"),
    ([0x71, 0x50, 0x18, 0xa6], "renounceOwnership()"),
    ([0x77, 0x6d, 0x1a, 0x01], "setTarget(address target)"),
    ([0x79, 0xba, 0x50, 0x97], "acceptOwnership()"),
    ([0x7a, 0x9e, 0x5e, 0x4b], "setAuthority(address newAuthority)"),
    ([0x7d, 0xe7, 0xed, 0xef], "changeMasterCopy(address masterCopy)"),
    ([0x7e, 0xff, 0x27, 0x5e], "changeProxyAdmin(address proxy, address newAdmin)"),
    ([0x8f, 0x28, 0x39, 0x70], "changeAdmin(address newAdmin)"),
    ([0x96, 0x23, 0x60, 0x9d], "upgradeAndCall(address proxy, address implementation, bytes data)"),
    ([0x98, 0x3b, 0x2d, 0x56], "addMinter(address account)"),
    ([0x99, 0xa8, 0x8e, 0xc4], "upgrade(address proxy, address implementation)"),
    ([0xa1, 0x56, 0x44, 0x06], "setPoolImpl(address pool)"),
    ([0xaa, 0x20, 0xe1, 0xe4], "updateMasterMinter(address newMasterMinter)"),
    ([0xab, 0x03, 0x3e, 0xa9], "setGovernance(address governance)"),
    ([0xad, 0x38, 0xbf, 0x22], "updateBlacklister(address newBlacklister)"),
    ([0xb3, 0xab, 0x15, 0xfb], "setOperator(address operator)"),
    (
        [0xb6, 0x3e, 0x80, 0x0d],
        "setup(address[] owners, uint256 threshold, address to, bytes data, address \
         fallbackHandler, address paymentToken, uint256 payment, address \
         paymentReceiver)",
    ),
    ([0xc4, 0x20, 0x69, 0xec], "setPendingOwner(address newOwner)"),
    ([0xc4, 0x2c, 0xf5, 0x35], "setGovernor(address governor)"),
    ([0xca, 0x44, 0x6d, 0xd9], "setAddress(bytes32 id, address newAddress)"),
    ([0xce, 0xfc, 0x14, 0x29], "acceptDefaultAdminTransfer()"),
    ([0xd4, 0x2a, 0xfb, 0x56], "setBeacon(address beacon)"),
    ([0xd5, 0x47, 0x74, 0x1f], "revokeRole(bytes32 role, address account)"),
    ([0xd6, 0x02, 0xb9, 0xfd], "cancelDefaultAdminTransfer()"),
    ([0xd7, 0x84, 0xd4, 0x26], "setImplementation(address newImplementation)"),
    ([0xe0, 0x09, 0xcf, 0xde], "disableModule(address prevModule, address module)"),
    ([0xe0, 0x68, 0xdf, 0x37], "setModuleGuard(address moduleGuard)"),
    ([0xe1, 0x9a, 0x9d, 0xd9], "setGuard(address guard)"),
    ([0xe3, 0x18, 0xb5, 0x2b], "swapOwner(address prevOwner, address oldOwner, address newOwner)"),
    ([0xf0, 0x8a, 0x03, 0x23], "setFallbackHandler(address handler)"),
    ([0xf2, 0xfd, 0xe3, 0x8b], "transferOwnership(address newOwner)"),
    ([0xf8, 0xdc, 0x5d, 0xd9], "removeOwner(address prevOwner, address owner, uint256 threshold)"),
    ([0xfc, 0xa3, 0xb5, 0xaa], "setMinter(address minter)"),
];

#[cfg(test)]
mod tests {
    use alloy_json_abi::Function;

    use super::FUNCTIONS;

    #[test]
    fn each_selector_is_the_one_of_its_signature() {
        for (selector, signature) in FUNCTIONS {
            assert_eq!(Function::parse(signature).unwrap().selector(), selector, "{signature}");
        }
        assert!(FUNCTIONS.is_sorted_by(|one, next| one.0 < next.0));
    }
}
