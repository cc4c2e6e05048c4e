//! Wild cards in service names.

/// Tells whether `name` matches `mask`, where `*` stands for any characters and `?` for one; case does not matter.
///
/// Takes time proportional to the product of the lengths whatever the mask, as it only ever backs up to the last star.
pub(super) fn matches(mask: &str, name: &str) -> bool {
    let (mask, name) = (mask.as_bytes(), name.as_bytes());
    let (mut in_mask, mut in_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match mask.get(in_mask) {
            Some(b'*') => {
                star = Some((in_mask + 1, in_name));
                in_mask += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(&name[in_name]) => {
                in_mask += 1;
                in_name += 1;
            }
            _ => {
                let Some((after_star, swallowed)) = star else { return false };
                star = Some((after_star, swallowed + 1));
                (in_mask, in_name) = (after_star, swallowed + 1);
            }
        }
    }
    mask[in_mask..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks() {
        let table = [
            ("http", "http", true),
            ("HTTP", "http", true),
            ("http", "https", false),
            ("http*", "http-alt", true),
            ("http*", "http", true),
            ("*", "", true),
            ("?", "", false),
            ("*sql*", "ms-sql-s", true),
            ("p?p3", "pop3", true),
            ("p?p3", "pp3", false),
            ("*a*b", "aXbXb", true),
            ("*a*b", "aXbX", false),
            ("", "x", false),
            ("**", "x", true),
        ];
        for (mask, name, expected) in table {
            assert_eq!(matches(mask, name), expected, "{mask} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let mask = "*a".repeat(200) + "*b";
        assert!(!matches(&mask, &"a".repeat(2000)));
    }
}
