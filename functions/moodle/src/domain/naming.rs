//! Names in Moodle: templates filled in, and texts made such that Moodle takes them.

/// The template with its fields put in. Fields that it does not know were refused when it was set.
pub fn fill(template: &str, fields: &[(&str, &str)]) -> String {
    let mut filled = template.to_owned();
    for (name, value) in fields {
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    filled
}

/// A field of the template that nobody knows, or that does not end.
pub fn unknown_field(template: &str, fields: &[&str]) -> Option<String> {
    template.split('{').skip(1).find_map(|rest| match rest.split_once('}') {
        Some((field, _)) if fields.contains(&field) => None,
        Some((field, _)) => Some(field.to_owned()),
        None => Some(rest.to_owned()),
    })
}

/// Moodle refuses the whole batch for one text with a tag in it; a lone `<` passes. Line ends and other control
/// characters are taken out, and what is too long is cut.
pub fn clean(text: &str, length_max: usize) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut after_bracket = false;
    for c in text.trim().chars() {
        if after_bracket && !c.is_whitespace() {
            cleaned.push(' ');
        }
        after_bracket = c == '<';
        if !c.is_control() {
            cleaned.push(c);
        }
    }
    cleaned.chars().take(length_max).collect::<String>().trim_end().to_owned()
}

/// Moodle takes small letters, digits and `.`, `_`, `@`, `-`; at most 100 of them.
pub fn username(text: &str) -> String {
    const LENGTH_MAX: usize = 100;
    let fits = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '@' | '-')
    };
    let folded = text.to_lowercase();
    folded.chars().map(|c| if fits(c) { c } else { '-' }).take(LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accents_ampersands_and_emoji_stay_and_tags_are_opened_up() {
        assert_eq!(clean(" Zoë & Søn 🎓 ", 100), "Zoë & Søn 🎓");
        assert_eq!(clean("a < b", 100), "a < b");
        assert_eq!(clean("Ada <3", 100), "Ada < 3", "PHP takes it for a tag");
        assert_eq!(clean("Smith <b>x</b>", 100), "Smith < b>x< /b>");
        assert_eq!(clean("one\ntwo", 100), "onetwo");
        assert_eq!(clean("éééé", 2), "éé");
        assert_eq!(username("Ada+Test@Example.EDU"), "ada-test@example.edu");
    }

    #[test]
    fn a_template_is_filled() {
        let fields = [("course_title", "Calculus I"), ("term_code", "2027S")];
        assert_eq!(fill("{course_title} ({term_code})", &fields), "Calculus I (2027S)");
        assert_eq!(unknown_field("{a} and {b}", &["a"]), Some("b".into()));
        assert_eq!(unknown_field("{a", &["a"]), Some("a".into()));
        assert_eq!(unknown_field("none", &[]), None);
    }

    proptest! {
        #[test]
        fn what_is_cleaned_holds_no_tag_and_is_clean_already(text in "[<>&a-z/! 0-9é🎓]{0,40}") {
            let cleaned = clean(&text, 30);
            let after = cleaned.split('<').skip(1).filter_map(|rest| rest.chars().next());
            for c in after {
                prop_assert!(!c.is_ascii_alphabetic() && c != '/' && c != '!', "{cleaned:?}");
            }
            prop_assert!(cleaned.chars().count() <= 30);
        }

        #[test]
        fn a_username_fits_moodle(text in "\\PC{0,120}") {
            let name = username(&text);
            prop_assert!(name.len() <= 100 && name == name.to_lowercase());
        }
    }
}
