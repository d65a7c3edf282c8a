//! Faults on the wire between the AWS client and the engine, chosen by a seed or placed at one call.

use axum::http::StatusCode;
use fastrand::Rng;
use serde_json::{Value, json};

/// What can go wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call is carried out, and its reply is lost.
    DropReply,
    /// The call is not carried out; the answer is a server error.
    FailBefore,
    /// The call is not carried out; the answer asks to slow down.
    Throttle,
    /// The call is not carried out, because others write to the same items. Only writes meet it.
    Conflict,
    /// As a conflict, but of every item of a transaction: a twin of the same command is under way.
    TwinConflict,
}

impl Fault {
    /// What any call may meet, whoever else is there.
    pub const ALL: [Self; 4] = [Self::DropReply, Self::FailBefore, Self::Throttle, Self::Conflict];
}

/// Which calls meet which faults.
#[derive(Debug, Clone)]
pub enum Faults {
    None,
    /// Each call meets a fault with this probability, in thousandths.
    Seeded {
        rng: Rng,
        per_mille: u32,
    },
    /// The `nth` call from now on (0 is the next one), and as many after it as `times` says.
    Placed {
        nth: u64,
        times: u64,
        fault: Fault,
    },
}

pub(crate) enum Verdict {
    Pass,
    DropReply,
    Answer(StatusCode, String),
}

impl Faults {
    pub fn none() -> Self {
        Self::None
    }

    pub fn seeded(seed: u64, per_mille: u32) -> Self {
        Self::Seeded { rng: Rng::with_seed(seed), per_mille }
    }

    pub fn once(nth: u64, fault: Fault) -> Self {
        Self::Placed { nth, times: 1, fault }
    }

    /// More often than the SDK retries by itself: our own code has to cope.
    pub fn lasting(nth: u64, fault: Fault) -> Self {
        Self::Placed { nth, times: 4, fault }
    }

    pub(crate) fn judge(&mut self, call: &str, body: &[u8]) -> Verdict {
        let fault = match self {
            Self::None => return Verdict::Pass,
            Self::Seeded { rng, per_mille } => {
                if rng.u32(..1_000) >= *per_mille {
                    return Verdict::Pass;
                }
                *rng.choice(&Fault::ALL).expect("there are faults")
            }
            Self::Placed { nth, times, fault } => {
                if *nth > 0 {
                    *nth -= 1;
                    return Verdict::Pass;
                }
                if *times == 0 {
                    return Verdict::Pass;
                }
                *times -= 1;
                *fault
            }
        };
        verdict(fault, call, body)
    }
}

fn verdict(fault: Fault, call: &str, body: &[u8]) -> Verdict {
    let answer = |status, kind: &str, members: Value| {
        let mut body = members;
        body["__type"] = format!("com.amazonaws.dynamodb.v20120810#{kind}").into();
        Verdict::Answer(status, body.to_string())
    };
    let message = json!({ "message": "a fault on the wire" });
    match (fault, call) {
        (Fault::DropReply, _) => Verdict::DropReply,
        (Fault::FailBefore, _) => {
            answer(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
        }
        (Fault::Throttle, _) => {
            answer(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException", message)
        }
        (Fault::Conflict | Fault::TwinConflict, "TransactWriteItems") => {
            let request: Value = serde_json::from_slice(body).unwrap_or_default();
            let items = request["TransactItems"].as_array().map_or(1, Vec::len);
            let mut reasons = vec![json!({ "Code": "None" }); items];
            let met = if fault == Fault::TwinConflict { items } else { 1 };
            reasons[..met].fill(json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" }));
            let members = json!({
                "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
                "CancellationReasons": reasons,
            });
            answer(StatusCode::BAD_REQUEST, "TransactionCanceledException", members)
        }
        (Fault::Conflict | Fault::TwinConflict, "PutItem" | "UpdateItem" | "DeleteItem") => {
            answer(StatusCode::BAD_REQUEST, "TransactionConflictException", message)
        }
        (Fault::Conflict | Fault::TwinConflict, _) => Verdict::Pass,
    }
}
