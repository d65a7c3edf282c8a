//! What an answer means. Moodle fails with status 200 as a rule, succeeds with `null`, and hides its reasons while
//! debugging is off: what counts is what to do next.

use std::error::Error;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// The same request may pass in a moment: others were writing.
    Retry,
    /// The site is down or being worked on: nothing passes now.
    Wait,
    /// An administrator has to mend token, rights or address: nothing passes until then.
    Credentials,
    /// This request never passes as it stands.
    Permanent,
    /// What stands in Moodle is not what we think, or nobody knows what was done: look before anything else.
    LookAgain,
}

/// A call that did not succeed. It names the function and Moodle's code, and never what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{function} failed with {code}")]
pub struct CallFailure {
    pub function: String,
    pub remedy: Remedy,
    /// Moodle's own code, or ours in capitals where it has none.
    pub code: String,
    /// As the site asks, where it does.
    pub retry_after_s: Option<u64>,
    /// Whether the site may have carried the request out.
    pub maybe_done: bool,
}

/// Longer codes are sentences, or pages.
const CODE_LENGTH_MAX: usize = 64;
const PHP_ERROR: &str = "PHP_ERROR";
const UNEXPECTED_ANSWER: &str = "UNEXPECTED_ANSWER";

impl CallFailure {
    fn new(function: &str, remedy: Remedy, code: &str) -> Self {
        let is_code = code.len() <= CODE_LENGTH_MAX && !code.contains('<');
        Self {
            function: function.to_owned(),
            remedy,
            code: if is_code { code.to_owned() } else { "REFUSED_WITH_TEXT".to_owned() },
            retry_after_s: None,
            maybe_done: false,
        }
    }

    /// No answer came. Where the connection never stood, nothing was done either.
    pub fn silence(function: &str, error: &reqwest::Error) -> Self {
        let is_unreachable = error.is_connect();
        tracing::warn!(
            function,
            error = error.source().map(ToString::to_string),
            "a site did not answer"
        );
        let code = if is_unreachable { "UNREACHABLE" } else { "UNANSWERED" };
        let remedy = if is_unreachable { Remedy::Wait } else { Remedy::LookAgain };
        Self { maybe_done: !is_unreachable, ..Self::new(function, remedy, code) }
    }

    /// What a warning told of one item.
    pub fn of_warning(function: &str, code: &str) -> Self {
        Self::new(function, Remedy::Permanent, code)
    }

    /// A list that moved each time that it was read.
    pub fn of_moving_list(function: &str) -> Self {
        Self::new(function, Remedy::LookAgain, "LIST_MOVED")
    }

    /// Whether it is about the site and not about what was asked.
    pub fn is_of_site(&self) -> bool {
        matches!(self.remedy, Remedy::Wait | Remedy::Credentials)
    }

    /// Whether nothing can have been done. A defect in PHP, or an answer that nobody understands, leaves that open.
    pub fn is_clear_no(&self) -> bool {
        !self.maybe_done && !matches!(self.code.as_str(), PHP_ERROR | UNEXPECTED_ANSWER)
    }

    /// A call that only reads and got no answer: the site is as good as down.
    #[must_use]
    pub fn of_reading(self) -> Self {
        if self.maybe_done { Self { remedy: Remedy::Wait, ..self } } else { self }
    }
}

/// The typed answer, or what to do about its absence.
pub fn judge<R: DeserializeOwned>(
    function: &str,
    status: u16,
    retry_after_s: Option<u64>,
    text: &str,
) -> Result<R, CallFailure> {
    let failure = |remedy, code: &str| {
        let failure = CallFailure::new(function, remedy, code);
        Err(CallFailure { retry_after_s, ..failure })
    };
    match status {
        200 => {}
        403 => return failure(Remedy::Credentials, "WEB_SERVICES_OFF"),
        408 | 429 | 500..=599 => {
            let down = CallFailure::new(function, Remedy::Wait, "SITE_DOWN");
            // A gateway gives up on what PHP may still carry out.
            return Err(CallFailure { retry_after_s, maybe_done: true, ..down });
        }
        // Not found, or a redirect: the address is not the site's own.
        _ => return failure(Remedy::Credentials, "WRONG_ADDRESS"),
    }
    let Ok(body) = serde_json::from_str::<Value>(text) else {
        // XML answers a form that was not read as it was sent: too large for PHP, above all.
        let is_xml = text.trim_start().starts_with("<?xml");
        return if is_xml {
            failure(Remedy::LookAgain, "FORM_LOST")
        } else {
            let page = CallFailure::new(function, Remedy::Wait, "ANSWERED_WITH_PAGE");
            Err(CallFailure { maybe_done: true, ..page })
        };
    };
    if body.get("exception").is_some() || body.get("errorcode").is_some() {
        // A defect in PHP has no code: nobody knows how far it came.
        let Some(code) = body["errorcode"].as_str() else {
            return failure(Remedy::LookAgain, PHP_ERROR);
        };
        return failure(remedy(code), code);
    }
    serde_json::from_value(body).or_else(|_| failure(Remedy::LookAgain, UNEXPECTED_ANSWER))
}

/// By Moodle's code, never by the class of its exception: classes are renamed between versions.
pub fn remedy(code: &str) -> Remedy {
    match code {
        "sitemaintenance" | "upgraderunning" | "dbconnectionfailed" | "dmlreadexception" => {
            Remedy::Wait
        }
        "dmlwriteexception" | "dmltransactionexception" | "ddlexecuteerror" => Remedy::Retry,
        "invalidtoken"
        | "accessexception"
        | "nopermissions"
        | "servicenotavailable"
        | "servicerequireslogin"
        | "forcepasswordchangenotice"
        | "sitepolicynotagreed"
        | "invalidlogin"
        | "cannotcreatetoken"
        | "usernotallowed"
        | "requireloginerror" => Remedy::Credentials,
        code if code.starts_with("wsaccess") => Remedy::Credentials,
        "wsusercannotassign"
        | "wsnoinstance"
        | "wscannotenrol"
        | "guestsarenotallowed"
        | "useradminodelete"
        | "criteriaerror"
        | "cannotviewreport"
        | "nocriteriaset"
        | "enddatebeforestartdate"
        | "errorinvalidparam"
        | "cannotdeletecategorycourse" => Remedy::Permanent,
        // A password rule, as HTML.
        code if code.contains('<') => Remedy::Permanent,
        _ => Remedy::LookAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Created;

    fn failure<R: DeserializeOwned + std::fmt::Debug>(text: &str) -> CallFailure {
        judge::<R>("f", 200, None, text).expect_err("it is no success")
    }

    #[test]
    fn nothing_is_a_success_where_nothing_is_answered_and_nowhere_else() {
        assert!(judge::<()>("f", 200, None, "null").is_ok());
        let lost = failure::<Vec<Created>>("null");
        assert_eq!((lost.remedy, lost.is_clear_no()), (Remedy::LookAgain, false));
    }

    #[test]
    fn a_page_with_status_200_is_a_site_that_is_down_and_may_have_done_it() {
        let page = failure::<()>("<html><body>Fatal error: Allowed memory size</body></html>");
        let found = (page.remedy, page.code.as_str(), page.maybe_done);
        assert_eq!(found, (Remedy::Wait, "ANSWERED_WITH_PAGE", true));
    }

    #[test]
    fn an_xml_document_is_a_form_that_was_lost_on_the_way() {
        let lost = failure::<()>("<?xml version=\"1.0\"?><EXCEPTION></EXCEPTION>");
        let found = (lost.remedy, lost.code.as_str(), lost.is_clear_no());
        assert_eq!(found, (Remedy::LookAgain, "FORM_LOST", true));
    }

    #[test]
    fn a_defect_in_php_has_no_code_and_is_no_clear_no() {
        let defect = failure::<()>(r#"{"exception":"Error","message":"on null"}"#);
        assert_eq!((defect.code.as_str(), defect.is_clear_no()), ("PHP_ERROR", false));
    }
}
