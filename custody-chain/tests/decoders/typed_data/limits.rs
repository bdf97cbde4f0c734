//! How large, deep and intricate typed data may be.

use super::*;

#[test]
fn depth_and_length_have_limits() {
    // Lists inside of each other, one level for each pair of brackets.
    let nested = |levels: usize| {
        let kind = format!("bool{}", "[]".repeat(levels));
        let value = (0..levels).fold(json!(true), |value, _| json!([value]));
        decode_json(&document("Deep", &[("Deep", &format!("{kind} a"))], json!({ "a": value })))
    };
    assert!(nested(15).is_ok());
    let malformed = EvmError::TypedData { what: "the document is malformed" };
    assert_eq!(nested(16).unwrap_err(), malformed);
    let limit = 256 * 1_024;
    let text = mail().to_string();
    let of_length =
        |length: usize| decode_text(&format!("{text}{}", " ".repeat(length - text.len())));
    assert!(of_length(limit).is_ok());
    assert_eq!(of_length(limit + 1).unwrap_err(), EvmError::TooLong { length: limit + 1, limit });
}

/// Types each of which has two lists of the next one, and a message in which they are empty.
fn doubling(types: usize) -> Value {
    let names: Vec<_> = (0..types).map(|number| format!("A{number}")).collect();
    let inside = |number: usize| match names.get(number + 1) {
        Some(next) => format!("{next}[] x,{next}[] y"),
        None => "bool x,bool y".to_owned(),
    };
    let kinds: Vec<_> = (0..types).map(inside).collect();
    let types: Vec<_> = names.iter().zip(&kinds).map(|(name, kind)| (&**name, &**kind)).collect();
    document("A0", &types, json!({ "x": [], "y": [] }))
}

#[test]
fn types_that_make_a_large_tree_out_of_a_short_text_are_refused_at_once() {
    let wrong = |what| EvmError::TypedData { what };
    assert!(decode_json(&doubling(10)).is_ok());
    for types in [12, 40, 60] {
        assert_eq!(decode_json(&doubling(types)).unwrap_err(), wrong("its types are too large"));
    }
    let many = wrong("it has too many types or fields");
    assert_eq!(decode_json(&doubling(64)).unwrap_err(), many);
    assert_eq!(decode_json(&doubling(3_000)).unwrap_err(), many);
    let fields: Vec<_> = (0..300).map(|number| format!("bool f{number}")).collect();
    let wide = document("Wide", &[("Wide", &fields.join(","))], json!({}));
    assert_eq!(decode_json(&wide).unwrap_err(), many);
    for lists in [17, 50_000] {
        let kind = format!("uint256{} a", "[]".repeat(lists));
        let deep = document("Deep", &[("Deep", &kind)], json!({ "a": [] }));
        assert_eq!(decode_json(&deep).unwrap_err(), wrong("lists are inside of too many lists"));
    }
    let itself = document("Loop", &[("Loop", "Loop[] a")], json!({ "a": [] }));
    assert_eq!(decode_json(&itself).unwrap_err(), wrong("a type contains itself"));
    let each_other = [("Here", "There[] a"), ("There", "Here[] a")];
    let each_other = document("Here", &each_other, json!({ "a": [] }));
    assert_eq!(decode_json(&each_other).unwrap_err(), wrong("a type contains itself"));
}

#[test]
fn values_of_structs_are_no_more_than_their_types_can_be_written_for() {
    let name = "n".repeat(2_000);
    let items = |count: usize| {
        let types = [("List", "Item[] a"), ("Item", &format!("bool {name}"))];
        let item = json!({ (name.as_str()): true });
        decode_json(&document("List", &types, json!({ "a": vec![item; count] })))
    };
    assert!(items(100).is_ok());
    let short = |count: usize| {
        let long = format!("bool {}", "n".repeat(20_000));
        let types = [("List", "Item[] a,Long[] b"), ("Item", "bool c"), ("Long", long.as_str())];
        let item = json!({ "c": true });
        decode_json(&document("List", &types, json!({ "a": vec![item; count], "b": [] })))
    };
    assert!(short(200).is_ok());
    let what = "it has too many values of structs";
    assert_eq!(short(300).unwrap_err(), EvmError::TypedData { what });
    assert_eq!(short(15_000).unwrap_err(), EvmError::TypedData { what });
}
