//! `audit prove`: has the running cloud prove its audit trails, chain by chain, and says what came of it.
use serde_json::{Value, json};

use crate::checkout::Checkout;
use crate::cloud::Cloud;
use crate::failure::Failure;
use crate::narration::{self, line};
use crate::services::current;

/// Contexts that keep a trail, each with an operation `prove-audit-trail`.
const CONTEXTS: [&str; 4] = ["identity", "enrollment", "billing", "moodle"];
/// A call goes on for half a minute; so many are enough for a hundred million entries.
const CALLS_MAX: u32 = 5_000;

/// Proves one chain, or all of them, in every context. Whether all are whole.
pub fn prove(checkout: &Checkout, chain: &str) -> Result<bool, Failure> {
    let cloud = current(checkout)?;
    let mut whole = true;
    for context in CONTEXTS {
        whole &= prove_context(&cloud, context, chain)?;
    }
    Ok(whole)
}

fn prove_context(cloud: &Cloud, context: &str, chain: &str) -> Result<bool, Failure> {
    let proof = narration::step(&format!("the audit trail of {context}"), |progress| {
        let mut input = json!({ "chain": chain });
        for _ in 0..CALLS_MAX {
            let function = format!("{context}-prove-audit-trail");
            let mut proof = cloud.endpoint.invoke(&function, input.to_string())?;
            progress.note(&sum(&proof));
            match proof["resume"].take() {
                Value::Null => {
                    progress.detail(sum(&proof));
                    return Ok(proof);
                }
                resume => input["resume"] = resume,
            }
        }
        Err(Failure::new("the proof comes to no end", "Prove one chain at a time."))
    })?;
    for broken in told(&proof) {
        line(&broken);
    }
    Ok(proof["broken_count"] == 0)
}

fn sum(proof: &Value) -> String {
    let count = |name: &str| proof[name].as_u64().unwrap_or_default();
    let broken = match count("broken_count") {
        0 => "all whole".to_owned(),
        broken => format!("{broken} broken"),
    };
    format!("{} entries in {} chains, {broken}", count("entries"), count("chains"))
}

/// A line for each broken chain.
fn told(proof: &Value) -> Vec<String> {
    let broken = proof["broken"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().replace('_', " ");
    let at = |one: &Value| {
        let chain = one["chain"].as_str().unwrap_or_default();
        format!("  {chain}, entry {}: {}", one["sequence"], text(&one["flaw"]))
    };
    broken.iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_is_told_with_its_place() {
        let broken = json!([{ "chain": "per_ada", "sequence": 3, "flaw": "cut_off" }]);
        let proof = json!({ "chains": 2, "entries": 9, "broken_count": 1, "broken": broken });
        assert_eq!(sum(&proof), "9 entries in 2 chains, 1 broken");
        assert_eq!(told(&proof), ["  per_ada, entry 3: cut off"]);
        let whole = json!({ "chains": 2, "entries": 9, "broken_count": 0, "broken": [] });
        assert_eq!(sum(&whole), "9 entries in 2 chains, all whole");
        assert!(told(&whole).is_empty());
    }
}
