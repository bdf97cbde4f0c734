use super::{Ledger, LedgerError, OpenOrder};
use crate::principal::{SignedStatement, Verb};

impl Ledger {
    /// Whether a statement about an open order counts: by an enrolled principal in a role it
    /// holds, unexpired, and signed by its credential over this very order.
    ///
    /// # Errors
    /// Names what is wrong.
    pub fn check_statement(
        &self,
        signed: &SignedStatement,
        verb: Verb,
    ) -> Result<&OpenOrder, LedgerError> {
        let statement = &signed.statement;
        let Some(order) = self.orders.get(&statement.order) else { return fail("no open order") };
        if statement.verb != verb {
            return fail("another verb");
        }
        if statement.digest != order.digest {
            return fail(OTHER_ORDER);
        }
        self.check_signer(signed)?;
        let is_requester = statement.principal == order.document.requester;
        match verb {
            Verb::Approve if is_requester => fail("the requester cannot approve"),
            Verb::Cancel if !is_requester => fail("only the requester cancels"),
            Verb::Approve | Verb::Cancel | Verb::Reject => Ok(order),
        }
    }

    /// Whether a statement, whatever it is about, is by an enrolled principal in a role it holds,
    /// unexpired, and signed by its credential.
    ///
    /// # Errors
    /// Names what is wrong.
    pub(crate) fn check_signer(&self, signed: &SignedStatement) -> Result<(), LedgerError> {
        let statement = &signed.statement;
        let Some(member) = self.members.get(&statement.principal) else {
            return fail("no such principal");
        };
        if !member.principal.roles.contains(&statement.role) {
            return fail("a role that the principal does not hold");
        }
        if statement.valid_until < self.time {
            return fail("expired");
        }
        let Some(credential) = member.principal.credentials.get(&statement.credential) else {
            return fail("no such credential");
        };
        let digest = statement.signing_digest(&self.custodian);
        if credential.verify(&digest, &signed.signature).is_err() {
            return fail("the signature does not verify");
        }
        Ok(())
    }
}

const fn fail<T>(what: &'static str) -> Result<T, LedgerError> {
    Err(LedgerError::Statement { what })
}

/// What is wrong with a statement whose digest is not that of the order.
pub(crate) const OTHER_ORDER: &str = "another order document";
