//! What modules answer: `CKR_…` of PKCS #11 3.0, section 3.3.

pub(crate) const HOST_MEMORY: u64 = 0x02;
pub(crate) const GENERAL_ERROR: u64 = 0x05;
pub(crate) const FUNCTION_FAILED: u64 = 0x06;
pub(crate) const DEVICE_ERROR: u64 = 0x30;
pub(crate) const DEVICE_REMOVED: u64 = 0x32;
pub(crate) const KEY_HANDLE_INVALID: u64 = 0x60;
pub(crate) const MECHANISM_INVALID: u64 = 0x70;
pub(crate) const OBJECT_HANDLE_INVALID: u64 = 0x82;
pub(crate) const OPERATION_ACTIVE: u64 = 0x90;
pub(crate) const PIN_INCORRECT: u64 = 0xa0;
pub(crate) const PIN_EXPIRED: u64 = 0xa3;
pub(crate) const PIN_LOCKED: u64 = 0xa4;
pub(crate) const OPERATION_NOT_INITIALIZED: u64 = 0x91;
pub(crate) const SESSION_CLOSED: u64 = 0xb0;
pub(crate) const SESSION_COUNT: u64 = 0xb1;
pub(crate) const SESSION_HANDLE_INVALID: u64 = 0xb3;
pub(crate) const TOKEN_NOT_PRESENT: u64 = 0xe0;
pub(crate) const USER_NOT_LOGGED_IN: u64 = 0x101;
pub(crate) const CRYPTOKI_NOT_INITIALIZED: u64 = 0x190;
pub(crate) const VENDOR_DEFINED: u64 = 0x8000_0001;
