//! Who may open an account by themselves, and is a student by that, though no office knows them.

use kernel::Email;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelfRegistration {
    Everybody,
    /// Whoever has an address in one of these domains, which are in lower case.
    OfDomains(Vec<String>),
    Nobody,
}

impl SelfRegistration {
    /// `everybody`, `none`, or domains with commas between them. What is neither lets nobody in.
    pub fn read(text: &str) -> Self {
        match text {
            "everybody" => Self::Everybody,
            "none" => Self::Nobody,
            domains => {
                let domains = domains.split(',').map(|domain| domain.trim().to_lowercase());
                Self::OfDomains(domains.collect())
            }
        }
    }

    pub fn lets_in(&self, email: &Email) -> bool {
        match self {
            Self::Everybody => true,
            Self::Nobody => false,
            Self::OfDomains(domains) => {
                let folded = email.folded();
                let domain = folded.rsplit_once('@').map(|(_, domain)| domain);
                domain.is_some_and(|domain| domains.iter().any(|agreed| agreed == domain))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_let_in_by_its_whole_domain_alone() {
        let lets_in = |setting: &str, email: &str| {
            SelfRegistration::read(setting).lets_in(&email.parse().expect("an address"))
        };
        let domains = "uni.example, Students.uni.example";
        for email in ["ada@uni.example", "ada@UNI.example", "ada@students.uni.example"] {
            assert!(lets_in(domains, email), "{email}");
            assert!(lets_in("everybody", email) && !lets_in("none", email), "{email}");
        }
        for email in ["ada@other.example", "ada@notuni.example", "ada@sub.uni.example"] {
            assert!(!lets_in(domains, email), "{email}");
        }
        assert!(!lets_in("", "ada@uni.example"), "a setting that is none lets nobody in");
    }
}
