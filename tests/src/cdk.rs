//! The operations as the CDK app knows them: one call per operation in `infra/cdk/lib/<context>.ts`.

use crate::repository;

/// What calls an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    Api { route: String, open: bool },
    Authorizer,
    Machine,
    Bus { events: Vec<String> },
    EveryEvent,
    Schedule,
    Streams,
}

impl Caller {
    /// The front door in shell that fits it.
    pub fn door(&self) -> &'static str {
        match self {
            Self::Api { .. } => "http",
            Self::Authorizer => "authorizer",
            Self::Machine => "step",
            Self::Bus { .. } | Self::EveryEvent => "events",
            Self::Schedule => "schedule",
            Self::Streams => "stream",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub operation: String,
    pub caller: Caller,
    /// Whether it may write the table of its context.
    pub writes: bool,
}

pub fn path(context: &str) -> String {
    format!("infra/cdk/lib/{context}.ts")
}

/// The operations of a context of this repository.
pub fn of(context: &str) -> Vec<Line> {
    lines(&repository::read(&path(context)).unwrap_or_default())
}

/// The operations in the text of a context's construct.
pub fn lines(construct: &str) -> Vec<Line> {
    construct.split("context.").skip(1).filter_map(line).collect()
}

fn line(call: &str) -> Option<Line> {
    let (method, arguments) = call.split_once('(')?;
    let arguments = arguments.split(");").next()?;
    let mut texts = quoted(arguments).into_iter();
    let code = arguments.split('"').step_by(2);
    let mut words = code.flat_map(|code| code.split(|c: char| !c.is_alphanumeric()));
    let writes = words.any(|word| word == "writes");
    let mut api = |open| {
        let operation = texts.next()?;
        Some(Line { operation, caller: Caller::Api { route: texts.next()?, open }, writes })
    };
    let caller = match method {
        "http" => return api(false),
        "openHttp" => return api(true),
        "authorizer" => Caller::Authorizer,
        "step" => Caller::Machine,
        "events" => Caller::Bus { events: quoted(arguments.split(']').next()?).split_off(1) },
        "everyEvent" => Caller::EveryEvent,
        "schedule" => Caller::Schedule,
        "outboxes" => Caller::Streams,
        _ => return None,
    };
    Some(Line { operation: texts.next()?, caller, writes })
}

fn quoted(text: &str) -> Vec<String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_calls_the_operation() {
        let found = lines(
            r#"
            const authorizer = context.authorizer("authorize", [tokens]);
            context.openHttp("log-in", "POST /sessions", [writes], { memoryMb: 512 });
            context.events("on-it", ["a.b.c", "a.b.writes"], [secret("KEY")]);
            context.schedule("sweep", Duration.minutes(1), []);
            context.table.addIndex("no operation");
            "#,
        );
        let line = |operation: &str, caller| {
            let writes = operation == "log-in";
            Line { operation: operation.into(), caller, writes }
        };
        assert_eq!(
            found,
            [
                line("authorize", Caller::Authorizer),
                line("log-in", Caller::Api { route: "POST /sessions".into(), open: true }),
                line("on-it", Caller::Bus { events: vec!["a.b.c".into(), "a.b.writes".into()] }),
                line("sweep", Caller::Schedule),
            ]
        );
    }
}
