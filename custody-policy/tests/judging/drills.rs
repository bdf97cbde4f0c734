//! How long ago the last drill was.

use super::*;

#[test]
fn a_rule_forbids_once_the_last_drill_is_longer_ago() {
    let forbid = |scope: &str, condition: &str| {
        engine(&format!("{OPEN} @id(\"drill\") forbid (principal, {scope}, resource) {condition};"))
    };
    let keys = "action == Action::\"create_key\"";
    let day = "when { context.drilled > duration(\"90d\") }";
    let hours = "unless { duration(\"2160h\") >= context.drilled }";
    for (engine, later) in [
        (forbid(keys, day), 90 * DAY),
        (forbid(keys, hours), 90 * DAY),
        (forbid("action", day), 90 * DAY),
        (forbid("action in Action::\"govern\"", "when { context.drilled > duration(\"0ms\") }"), 0),
    ] {
        let key = order().command(Action::CreateKey);
        for (drilled, allowed) in [
            (NOW, true),
            (NOW - later, true),
            (NOW - later - 1, false),
            (0, false),
            // A clock that went back is no reason to stop.
            (NOW + DAY, true),
        ] {
            let judgement = engine.judge(&key.clone().drilled_at(drilled).facts());
            let expected = if allowed { ids(&["govern"]) } else { ids(&["drill"]) };
            assert_eq!((judgement.allowed, judgement.rules), (allowed, expected), "{drilled}");
        }
    }
    let every = forbid("action", day);
    for action in Action::ALL.iter().copied() {
        let order = of(action);
        assert!(every.judge(&order.clone().drilled_at(NOW).facts()).allowed, "{action}");
        assert!(!every.judge(&order.drilled_at(0).facts()).allowed, "{action} has the fact");
    }
}
