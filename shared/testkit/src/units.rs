//! Capacity units as DynamoDB would bill them: asked of the engine, which computes them from the sizes of the items.
#![expect(clippy::float_arithmetic, reason = "DynamoDB counts in halves of a unit")]

use axum::body::Bytes;
use serde::Deserialize;

/// Units of reads and of writes, those of the index included.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Units {
    pub read: f64,
    pub write: f64,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(rename = "ConsumedCapacity")]
    consumed: Option<Consumed>,
    /// Of a transaction that was not carried out.
    #[serde(rename = "CancellationReasons", default)]
    cancelled: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Consumed {
    OfTable(OfTable),
    OfTables(Vec<OfTable>),
}

#[derive(Deserialize)]
struct OfTable {
    #[serde(rename = "CapacityUnits")]
    units: f64,
}

/// The same request, with the wish to be told what it costs.
pub fn asking(body: &Bytes) -> Bytes {
    match body.strip_prefix(b"{\"") {
        Some(rest) => [br#"{"ReturnConsumedCapacity":"TOTAL",""#, rest].concat().into(),
        None => body.clone(),
    }
}

impl Units {
    /// Adds what the reply to a call says that it cost. A transaction that was cancelled costs as much as one that
    /// writes, which the engine does not tell: two units for each of its items, as if none were larger than 1 KB.
    pub fn add(&mut self, call: &str, reply: &[u8]) {
        const CANCELLED_ITEM: f64 = 2.0;
        let Ok(reply) = serde_json::from_slice::<Reply>(reply) else { return };
        let units = match reply.consumed {
            Some(Consumed::OfTable(table)) => table.units,
            Some(Consumed::OfTables(tables)) => tables.iter().map(|table| table.units).sum(),
            None => reply.cancelled.iter().map(|_| CANCELLED_ITEM).sum(),
        };
        match call {
            "GetItem" | "BatchGetItem" | "Query" | "Scan" => self.read += units,
            _ => self.write += units,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_costs_is_asked_for_and_added_up() {
        let asked = asking(&Bytes::from_static(br#"{"TableName":"t"}"#));
        assert_eq!(asked, br#"{"ReturnConsumedCapacity":"TOTAL","TableName":"t"}"#.as_slice());
        let mut units = Units::default();
        units.add("Query", br#"{"Items":[],"ConsumedCapacity":{"CapacityUnits":0.5}}"#);
        units.add("TransactWriteItems", br#"{"ConsumedCapacity":[{"CapacityUnits":12.0}]}"#);
        units.add("TransactWriteItems", br#"{"CancellationReasons":[{"Code":"None"},{}]}"#);
        assert_eq!(units, Units { read: 0.5, write: 16.0 });
    }
}
