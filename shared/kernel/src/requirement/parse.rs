//! Reading a requirement: from text to tree, with the place where it stops making sense.

use super::Requirement;

/// Parentheses and `n_of` within each other: a person loses track long before.
const DEPTH_MAX: u32 = 20;
const BRANCHES_MAX: usize = 50;

/// Where reading stopped, and what could have stood there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at character {at}")]
pub struct RequirementSyntaxError {
    /// Counted in characters, from 1.
    pub at: usize,
    /// Words of the grammar, which are the same in every language.
    pub expected: &'static str,
}

const ATOM: &str = "( course test program credits_earned standing permission n_of";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Open,
    Close,
    Comma,
    AtLeast,
    /// A character that is in no word.
    Stray,
    End,
}

/// What is read must be readable as it is printed: that is how it is stored, and printing puts branches of one kind
/// together and spaces between.
pub(super) fn requirement(text: &str) -> Result<Requirement, RequirementSyntaxError> {
    let requirement = read(text)?;
    match read(&requirement.to_string()) {
        Ok(again) if again == requirement => Ok(requirement),
        _ => Err(RequirementSyntaxError { at: text.chars().count() + 1, expected: "END" }),
    }
}

fn read(text: &str) -> Result<Requirement, RequirementSyntaxError> {
    let length = text.chars().count();
    if length > Requirement::LENGTH_MAX {
        return Err(RequirementSyntaxError { at: Requirement::LENGTH_MAX + 1, expected: "END" });
    }
    let mut reader = Reader { tokens: tokens(text), at: 0, depth: 0 };
    let requirement = reader.any()?;
    match reader.token() {
        Token::End => Ok(requirement),
        _ => Err(reader.expected("AND OR END")),
    }
}

/// Tokens with their places; the last one is the end.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '+' | '_' | '*');
    let mut characters = text.chars().enumerate().peekable();
    let mut tokens = Vec::new();
    while let Some((at, character)) = characters.next() {
        let token = match character {
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '≥' => Token::AtLeast,
            '>' if characters.next_if(|(_, next)| *next == '=').is_some() => Token::AtLeast,
            character if character.is_whitespace() => continue,
            character if is_word(character) => {
                let mut word = String::from(character);
                while let Some((_, next)) = characters.next_if(|(_, next)| is_word(*next)) {
                    word.push(next);
                }
                Token::Word(word)
            }
            _ => Token::Stray,
        };
        tokens.push((at + 1, token));
    }
    tokens.push((text.chars().count() + 1, Token::End));
    tokens
}

struct Reader {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: u32,
}

impl Reader {
    fn token(&self) -> &Token {
        &self.tokens[self.at].1
    }

    /// Never past the end.
    fn step(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn expected(&self, expected: &'static str) -> RequirementSyntaxError {
        RequirementSyntaxError { at: self.tokens[self.at].0, expected }
    }

    fn take(&mut self, token: &Token, name: &'static str) -> Result<(), RequirementSyntaxError> {
        if self.token() == token {
            self.step();
            Ok(())
        } else {
            Err(self.expected(name))
        }
    }

    fn takes(&mut self, token: &Token) -> bool {
        self.take(token, "").is_ok()
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let is_it = matches!(self.token(), Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        if is_it {
            self.step();
        }
        is_it
    }

    fn any(&mut self) -> Result<Requirement, RequirementSyntaxError> {
        let branches = self.joined("OR", Self::all)?;
        Ok(joined(branches, Requirement::Any, |branch| match branch {
            Requirement::Any(inner) => Ok(inner),
            other => Err(other),
        }))
    }

    fn all(&mut self) -> Result<Requirement, RequirementSyntaxError> {
        let branches = self.joined("AND", Self::atom)?;
        Ok(joined(branches, Requirement::All, |branch| match branch {
            Requirement::All(inner) => Ok(inner),
            other => Err(other),
        }))
    }

    fn joined(
        &mut self,
        by: &str,
        branch: fn(&mut Self) -> Result<Requirement, RequirementSyntaxError>,
    ) -> Result<Vec<Requirement>, RequirementSyntaxError> {
        let mut branches = vec![branch(self)?];
        while branches.len() < BRANCHES_MAX && self.takes_word(by) {
            branches.push(branch(self)?);
        }
        Ok(branches)
    }

    fn atom(&mut self) -> Result<Requirement, RequirementSyntaxError> {
        let begin = self.at;
        if self.depth == DEPTH_MAX {
            return Err(self.expected("END"));
        }
        self.depth += 1;
        let atom = match self.token().clone() {
            Token::Open => {
                self.step();
                let inner = self.any()?;
                self.take(&Token::Close, "AND OR )")?;
                inner
            }
            Token::Word(word) => {
                self.step();
                self.named(&word.to_ascii_lowercase(), begin)?
            }
            _ => return Err(self.expected(ATOM)),
        };
        self.depth -= 1;
        Ok(atom)
    }

    fn named(&mut self, name: &str, begin: usize) -> Result<Requirement, RequirementSyntaxError> {
        if name == "permission" {
            return Ok(Requirement::Permission);
        }
        if !["course", "test", "program", "programme", "credits_earned", "standing", "n_of"]
            .contains(&name)
        {
            self.at = begin;
            return Err(self.expected(ATOM));
        }
        self.take(&Token::Open, "(")?;
        let requirement = match name {
            "course" => self.course()?,
            "test" => {
                let name = self.word("NAME")?;
                self.take(&Token::Comma, ",")?;
                Requirement::Test { name, min_hundredths: self.hundredths()? }
            }
            "program" | "programme" => Requirement::Program(self.code()?),
            "credits_earned" => Requirement::CreditsEarned(self.hundredths()?),
            "standing" => {
                self.takes(&Token::AtLeast);
                Requirement::Standing(self.whole(1, 20)?)
            }
            _ => self.at_least()?,
        };
        self.take(&Token::Close, ")")?;
        Ok(requirement)
    }

    fn course(&mut self) -> Result<Requirement, RequirementSyntaxError> {
        let code = self.code()?;
        let (mut min_grade, mut concurrent) = (None, false);
        while !concurrent && self.takes(&Token::Comma) {
            if self.takes_word("concurrent") {
                concurrent = true;
            } else if min_grade.is_none() {
                min_grade = Some(self.word("GRADE concurrent")?);
            } else {
                return Err(self.expected("concurrent"));
            }
        }
        Ok(Requirement::Course { code, min_grade, concurrent })
    }

    fn at_least(&mut self) -> Result<Requirement, RequirementSyntaxError> {
        let place = self.at;
        let count = self.whole(1, u32::try_from(BRANCHES_MAX).unwrap_or(u32::MAX))?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut of = Vec::new();
        while of.len() < BRANCHES_MAX && self.takes(&Token::Comma) {
            of.push(self.any()?);
        }
        if of.is_empty() {
            return Err(self.expected(","));
        }
        if count > of.len() {
            self.at = place;
            return Err(self.expected("NUMBER <= n"));
        }
        Ok(Requirement::AtLeast { count, of })
    }

    fn word(&mut self, name: &'static str) -> Result<String, RequirementSyntaxError> {
        let Token::Word(word) = self.token().clone() else { return Err(self.expected(name)) };
        self.step();
        Ok(word)
    }

    /// As the catalog writes codes: upper case letters, digits, dot, dash.
    fn code(&mut self) -> Result<String, RequirementSyntaxError> {
        let place = self.at;
        let code = self.word("CODE")?.to_uppercase();
        let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || ".-".contains(c);
        let begins_well = code.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins_well && code.chars().all(allowed) && code.len() <= 40 {
            return Ok(code);
        }
        self.at = place;
        Err(self.expected("CODE"))
    }

    fn whole(&mut self, min: u32, max: u32) -> Result<u32, RequirementSyntaxError> {
        let place = self.at;
        let number = self.word("NUMBER")?.parse::<u32>().ok();
        number.filter(|number| (min..=max).contains(number)).ok_or_else(|| {
            self.at = place;
            self.expected("NUMBER")
        })
    }

    /// `4.5` as 450.
    fn hundredths(&mut self) -> Result<u32, RequirementSyntaxError> {
        let place = self.at;
        let word = self.word("NUMBER")?;
        let (whole, decimals) = word.split_once('.').unwrap_or((&word, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = digits(whole) && digits(decimals) && whole.len() <= 6 && decimals.len() <= 2;
        if fits && let Ok(number) = format!("{whole}{decimals:0<2}").parse() {
            return Ok(number);
        }
        self.at = place;
        Err(self.expected("NUMBER"))
    }
}

/// One branch stands for itself; a branch of the same kind is taken up into its parent.
fn joined(
    mut branches: Vec<Requirement>,
    join: fn(Vec<Requirement>) -> Requirement,
    same: fn(Requirement) -> Result<Vec<Requirement>, Requirement>,
) -> Requirement {
    if branches.len() == 1 {
        return branches.remove(0);
    }
    join(
        branches
            .into_iter()
            .flat_map(|branch| same(branch).unwrap_or_else(|one| vec![one]))
            .collect(),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(text: &str) -> String {
        text.parse::<Requirement>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    fn stops(text: &str) -> (usize, &'static str) {
        let error = text.parse::<Requirement>().expect_err(text);
        (error.at, error.expected)
    }

    #[test]
    fn what_could_not_be_read_back_as_it_is_printed_is_refused() {
        let half = vec!["permission"; 30].join(" OR ");
        let flattened = format!("({half}) OR ({half})");
        assert_eq!(stops(&flattened).1, "END", "sixty branches stand on one level then");
        let mut dense = "standing(3)".to_owned();
        while dense.len() < 480 {
            dense.push_str("OR standing(3)");
        }
        let longer = printed(&dense);
        assert!(longer.len() > dense.len());
        assert_eq!(printed(&longer), longer);
    }

    #[test]
    fn what_is_written_in_many_ways_is_printed_in_one() {
        assert_eq!(printed("course(math101)"), "course(MATH101)");
        assert_eq!(
            printed(" COURSE ( MATH101 , c , Concurrent )"),
            "course(MATH101, c, concurrent)"
        );
        assert_eq!(
            printed("(course(A) and course(B)) AND course(C)"),
            "course(A) AND course(B) AND course(C)"
        );
        assert_eq!(
            printed("course(A) AND (course(B) OR course(C))"),
            "course(A) AND (course(B) OR course(C))"
        );
        assert_eq!(
            printed("(course(A) AND course(B)) OR permission"),
            "course(A) AND course(B) OR permission"
        );
        assert_eq!(printed("((permission))"), "permission");
        assert_eq!(printed("test(IELTS, 6.50)"), "test(IELTS, 6.5)");
        assert_eq!(
            printed("credits_earned(60) OR standing(≥ 3) OR standing(2)"),
            "credits_earned(60) OR standing(>= 3) OR standing(>= 2)"
        );
        assert_eq!(
            printed("n_of(2, course(A), course(B) OR course(C), programme(cs))"),
            "n_of(2, course(A), course(B) OR course(C), program(CS))"
        );
    }

    #[test]
    fn a_mistake_is_shown_where_it_is() {
        assert_eq!(stops(""), (1, ATOM));
        assert_eq!(stops("corse(A)"), (1, ATOM));
        assert_eq!(stops("course(A"), (9, ")"));
        assert_eq!(stops("course(A) course(B)"), (11, "AND OR END"));
        assert_eq!(stops("course(A) AND"), (14, ATOM));
        assert_eq!(stops("(course(A)"), (11, "AND OR )"));
        assert_eq!(stops("course()"), (8, "CODE"));
        assert_eq!(stops("course(É1)"), (8, "CODE"));
        assert_eq!(stops("course(A, B, C)"), (14, "concurrent"));
        assert_eq!(stops("test(SAT)"), (9, ","));
        assert_eq!(stops("test(SAT, many)"), (11, "NUMBER"));
        assert_eq!(stops("n_of(3, permission, permission)"), (6, "NUMBER <= n"));
        assert_eq!(stops("n_of(0, permission)"), (6, "NUMBER"));
        assert_eq!(stops("n_of(1)"), (7, ","));
        assert_eq!(stops("standing(> 2)"), (10, "NUMBER"));
        assert_eq!(stops("permission # later"), (12, "AND OR END"));
        let deep = format!("{}permission{}", "(".repeat(30), ")".repeat(30));
        assert_eq!(stops(&deep), (21, "END"));
        let long = format!("permission{}", " OR permission".repeat(200));
        assert_eq!(stops(&long), (Requirement::LENGTH_MAX + 1, "END"));
    }

    pub fn any_requirement() -> impl Strategy<Value = Requirement> {
        let code = "[A-Z]{2,4}[0-9]{3}";
        let leaf = prop_oneof![
            (code, proptest::option::of("[A-F][+-]?"), any::<bool>()).prop_map(
                |(code, min_grade, concurrent)| Requirement::Course { code, min_grade, concurrent }
            ),
            ("[A-Z]{3}", 0_u32..100_000)
                .prop_map(|(name, min_hundredths)| Requirement::Test { name, min_hundredths }),
            code.prop_map(Requirement::Program),
            (0_u32..30_000).prop_map(Requirement::CreditsEarned),
            (1_u32..8).prop_map(Requirement::Standing),
            Just(Requirement::Permission),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let branches = || proptest::collection::vec(inner.clone(), 2..4);
            prop_oneof![
                branches().prop_map(Requirement::Any),
                branches().prop_map(Requirement::All),
                (1_usize..=2, branches())
                    .prop_map(|(count, of)| Requirement::AtLeast { count, of }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(requirement in any_requirement()) {
            let text = requirement.to_string();
            let read: Requirement = text.parse().expect("what is printed can be read");
            prop_assert_eq!(read.to_string(), text);
            prop_assert_eq!(read.courses(), requirement.courses());
        }

        #[test]
        fn no_text_breaks_the_reader(text in "[a-zA-Z0-9_(),.>= ≥é#]{0,80}") {
            if let Err(error) = text.parse::<Requirement>() {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.at));
            }
        }
    }
}
