//! What the program prints. This file opens secrets.

use custody_core::secret::Secret;
use custody_recovery::slip39::{Progress, Scheme, Share};
use zeroize::Zeroizing;

/// A secret in hex, as a line.
pub(crate) fn secret(secret: &Secret) -> Zeroizing<Vec<u8>> {
    let hex = Zeroizing::new(hex::encode(secret.expose()));
    Zeroizing::new([hex.as_bytes(), b"\n"].concat())
}

/// Shares by group, one a line, each below a line that says whose it is.
pub(crate) fn shares(scheme: &Scheme, shares: &[Vec<Share>]) -> Zeroizing<Vec<u8>> {
    let mut lines = Vec::new();
    for (number, (group, members)) in (1..).zip(scheme.groups().iter().zip(shares)) {
        let (threshold, count) = (group.threshold(), group.count());
        lines.push(line(&format!("# group {number}: {threshold} of {count} members")));
        for (member, share) in (1..).zip(members) {
            lines.push(line(&format!("# group {number}, member {member}")));
            lines.push(share.to_words());
        }
    }
    let (threshold, count) = (scheme.group_threshold(), scheme.groups().len());
    let all = line(&format!("# {threshold} of {count} groups are needed"));
    let lines = std::iter::once(&all).chain(&lines);
    let length = lines.clone().map(|line| line.len().saturating_add(1)).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(length));
    for line in lines {
        text.extend_from_slice(line.expose());
        text.push(b'\n');
    }
    text
}

/// How many shares there are and how many are missing, as lines.
pub(crate) fn progress(progress: &Progress) -> String {
    let (threshold, count) = (progress.group_threshold(), progress.group_count());
    let mut lines = vec![
        format!("the shares belong together: set {}", progress.identifier()),
        format!("{threshold} of {count} groups are needed"),
    ];
    for group in progress.groups() {
        let (present, needed) = (group.present(), group.threshold());
        let number = group.index().saturating_add(1);
        let missing = match group.missing() {
            0 => "complete".to_owned(),
            missing => format!("{missing} missing"),
        };
        lines.push(format!("group {number}: {present} of {needed} needed shares, {missing}"));
    }
    if progress.missing_groups() > 0 {
        lines.push(format!("shares of {} more groups are missing", progress.missing_groups()));
    }
    let answer =
        if progress.is_complete() { "they are enough, and agree" } else { "they are not enough" };
    lines.push(answer.to_owned());
    lines.push(String::new());
    lines.join("\n")
}

fn line(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}
